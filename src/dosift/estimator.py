"""The estimator that joins it all: rows in, mixture of interventions out.

It computes nothing: parameters become a recipe, rows become blocks, :mod:`dosift.pipeline` fits,
and :mod:`dosift.results` makes the tables.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dosift.checks.assignment_confidence import Certainty
from dosift.checks.fit_check import FitCheck
from dosift.checks.missing import MissingValues, words_of_warning
from dosift.checks.model_check import unexplained_as_impossible
from dosift.checks.neighbours import words_of_units
from dosift.checks.surprisal import FALSE_SHARE, SurprisalScale, unexplained
from dosift.checks.verdict import STANDS
from dosift.data import to_native
from dosift.data.blocks import MemoryBlocks
from dosift.data.lazy import as_lazy
from dosift.data.load import checked_weight, load
from dosift.errors import (
    ConvergenceWarning,
    GraphWarning,
    InputError,
    MisfitWarning,
    MissingValuesWarning,
    UnitsWarning,
)
from dosift.inference import Posterior
from dosift.learning.edge_knowledge import MOST_PARENTS, EdgeKnowledge, Limit
from dosift.learning.mixed import ControlTable, control_as_rows, learn_from_control
from dosift.learning.states import with_new_states
from dosift.likelihood.assignment import Assignment
from dosift.likelihood.weights import DEFAULT_GAP
from dosift.methods import DEFAULT_EPSILON
from dosift.methods.labels import Labels
from dosift.methods.parameters import (
    check_parameters,
    checked_network,
    edges_asked,
    starting_network,
)
from dosift.methods.prior_knowledge import PriorKnowledge
from dosift.model import Mixture, Target
from dosift.model.network import Network
from dosift.model.simulate import RandomState, simulate
from dosift.pipeline import Fitted, Recipe, fit, fitted_batches
from dosift.pipeline.again import posterior_in_time
from dosift.results.graphs import objection_in_words, objects_to_the_graph
from dosift.results.merged import Merged
from dosift.results.rows import presence_of_each
from dosift.results.summary import Tables, diagnostics_of
from dosift.results.timeline import words_of_rows_at_once
from dosift.results.verdict_words import headline, negative_control_content, verdict_content
from dosift.results.words import misfit_in_words
from dosift.search.certificate import Certificate
from dosift.utils.record import Record
from dosift.utils.sklearn_api import Conventions, not_fitted

if TYPE_CHECKING:
    import polars as pl

Floats = NDArray[np.float64]
Progress = Callable[[str, int, "int | None"], None]


class InterventionMixture(Conventions):
    """Recover a mixture of unknown interventions from unlabelled rows.

    Parameters
    ----------
    network : Network or MechanismNetwork, optional
        The undisturbed causal network. Without it, `fit` learns one from control rows.
    method : {"likelihood", "moments", "em", "brute-force"}, default="likelihood"
        How targets and weights are estimated. ``"likelihood"`` is penalised maximum likelihood
        with a search for the targets; ``"moments"`` the finite-sample algorithm of Kumar and
        Sinha (UAI 2021) or, with units of several rows, moments that need no exclusion
        (docs/units.md); ``"em"`` expectation maximisation over all targets; ``"brute-force"``
        constrained least squares over all targets and all patterns of excluded values. The last
        two enumerate, and refuse networks that are too large for that.
    max_size : int or None, default=None
        Largest number of variables that one intervention sets; None for no limit. Not for
        ``"moments"``, which has no such limit.
    refine : bool, default=True
        ``"likelihood"``, for a network learned from control rows: let the mixture rows teach it
        too.
    gap_tolerance : float, default=1e-8
        ``"likelihood"``: optimality gap at which the weights count as converged, in nats a row.
    epsilon : float, default=1e-3
        ``"moments"``, ``"em"`` and ``"brute-force"``: smaller weights are dropped.
    delta : float or None, default=None
        ``"moments"``, for a network learned from control rows: added to every count; None for
        one over the number of control rows.
    prior_knowledge : PriorKnowledge or None, default=None
        Targets that may, must or must not occur, and weights that are known.
    interventions : {"hard", "stochastic", "any"}, default="hard"
        What may have happened. ``"hard"``: do-interventions. ``"stochastic"``: do's on the same
        variables are one intervention that draws their values; all values may occur, see
        `interventions_`. ``"any"``: mechanisms may also have changed in a way that still depends
        on the parents, see `mechanisms_`; that takes several times as long. Only for
        ``"likelihood"``.
    level : float, default=0.95
        Of the intervals, in (0, 1).
    random_state : int, Generator or None, default=0
        Seed of the draws behind intervals, probabilities and the fit check. Targets and weights
        involve no chance.
    edges : {"fixed", "repair", "learn"}, default="fixed"
        What control rows and rows together may do to the graph. ``"fixed"``: nothing, it is only
        checked. ``"repair"``: they may add, remove and reverse edges. ``"learn"``: the graph is
        not known, and that of `network` says nothing; so it is whenever `fit` is given control
        rows without a graph, whatever is said here. The last two are for ``"likelihood"``.
    required_edges, forbidden_edges : graph or None, default=None
        Edges (parent, child) that the graph has, or has not: files, pairs, or whatever else
        :func:`~dosift.learn_network` takes for a graph. Forbidden ones may have cycles.
    tiers : sequence of sequence of str or None, default=None
        Groups of variables, causes first: no edge leads from a later group to an earlier one.
        Variables in none are free.
    max_parents : int, "auto" or None, default="auto"
        Parents up to which a variable may get more; ``"auto"``: 4 of a variable with states, whose
        table grows by a factor with each, and no limit for numbers and counts; None for no limit.
        A graph that is given may have more.
    control_rows : float or None, default=None
        For a network that is known: how many control rows its tables are worth (the equivalent
        sample size). Rows may then teach its tables, and its graph can be checked and repaired.
    changes : sequence of str or None, default=None
        What may have happened to measurements and counts: ``"do"`` (one exact value), ``"set"``
        (a distribution of its own), ``"shift"``, ``"gain"`` (multiplied, and an offset), ``"fold"``
        (a count's mean multiplied), ``"free"`` (another regression). None for those that suit each
        kind of column.
    knockouts : bool, default=False
        Whether changes of counts only lower them. Columns of whole numbers that are not negative
        are then taken for counts, where nothing else is said of them.
    negative_control : bool, default=True
        Whether control rows, where they are at hand, are played as a pool, to see what is invented
        there: see `negative_control_`. Where that is more than a little, rows count for less.

    Attributes
    ----------
    mixture_ : Mixture
        Targets and weights found.
    targets_ : list of Target
        Targets by descending weight.
    weights_ : ndarray, shape (n_components,)
        Their weights.
    optimality_gap_ : float
        No other weights over these targets gain more than this, in nats a row that the mixture
        can produce.
    converged_ : bool
        Whether the method came to its end: for ``"likelihood"``, the gap is at most
        `gap_tolerance`; for ``"em"``, at most 1e-4. The others end always, and their gap only
        tells how far their weights are from maximum likelihood.
    certificate_ : Certificate or None
        The likelihood's gradient at targets that are not in the mixture; only for
        ``"likelihood"``.
    network_ : Network
        The network that the mixture refers to.
    log_likelihood_ : float
        Of all rows under the fitted mixture, in nats.
    penalised_score_ : float
        Log-likelihood less the description length of the targets, in nats.
    n_rows_ : float
        Number of rows, or total sample weight.
    n_units_ : float or None
        Number of units, where rows were given units and some have several.
    n_configurations_ : int or None
        Number of distinct rows (or units); None where they are too many to be held.
    n_features_in_ : int
        Number of columns that rows need: variables of the network, and what counts are relative to
        where that is a column.
    feature_names_in_ : ndarray of str
        Their names.
    components_ : polars.DataFrame
        One line for each component, the columns of ``components.csv``. Standard errors and
        intervals are not given for ``"moments"`` and ``"brute-force"``, and for ``"em"`` they
        take the targets as given.
    variables_ : polars.DataFrame
        Totals for each variable and value, the columns of ``variables.csv``.
    batches_ : polars.DataFrame or None
        With batches, one line for each batch and component in it: ``batch``, and the columns of
        ``components.csv``. The attributes above then describe all rows together, over the
        targets that the batches have in common.
    labels_ : Labels or None
        The labels of the rows that the mixture was fitted to.
    pairs_ : polars.DataFrame
        Totals for each pair of do's that some component holds.
    families_ : polars.DataFrame
        Components that share do's, grouped.
    confusable_ : polars.DataFrame
        For each component, the targets that could stand in its place, and the log-likelihood (in
        nats) that this would lose.
    undecided_ : polars.DataFrame
        Targets that were left out of the mixture and may be in it, with their probabilities.
    interventions_ : polars.DataFrame
        Components that set the same variables as one intervention with a distribution of values.
    mechanisms_ : polars.DataFrame
        Mechanisms that changed otherwise: of `interventions` "any", and one that clearly is another
        in the pool than in control rows. The network that the mixture refers to, `network_`, has
        them as they are in the rows.
    posterior_ : Posterior or None
        The posterior of the weights that these tables come from; None for methods that
        do not maximise the likelihood, and where some rows are impossible.
    impossible_rows_ : float
        Number of rows that no component can produce.
    certainty_ : Certainty
        How sure the rows are of their most probable target.
    fit_check_ : FitCheck
        Whether the mixture describes the rows, and where it does not.
    unexplained_rows_ : float
        Number of rows so surprising that the mixture hardly made them: see :meth:`unexplained`.
    surprise_scale_ : SurprisalScale
        The surprise of simulated rows.
    missing_values_ : MissingValues
        How many values are missing, and whether completely at random.
    graph_ : polars.DataFrame or None
        What control and mixture rows say of each edge of the graph: `parent`, `child`,
        `probability` over graphs, and `status`: "given" where the graph was fixed, else "kept",
        "added", "reversed", "removed", or "open" where the rows leave its direction open. None
        without control rows.
    timeline_ : polars.DataFrame or None
        Where rows were given times, one line for each stretch with the same intervention, the
        columns of ``timeline.csv``: `unit`, `target`, `start`, `end`, `probability`, and times
        between which the first and the last row lie. Probability of a switch in a typical step and
        mean duration, `fitted_.in_time` says.
    verdict_ : Record
        What stands of the answer: a dictionary, whose entries are attributes, too, with ``value``
        (``"stands"``, ``"stands in part"``, ``"does not stand"``), ``reasons``, ``next``, and what
        else ``result.json`` says.
    negative_control_ : Record or None
        What control rows yield that were played as a pool: ``weight`` and ``components``, and the
        same ``_in_full``, where rows count in full. None without control rows.
    fitted_ : Fitted
        Everything that came of the fit, as arrays: what the bootstrap, held-out rows, the report
        and the command take.

    Examples
    --------
    >>> import dosift
    >>> network = dosift.Network.from_tables(
    ...     {"smoke": ["no", "yes"], "lung": ["no", "yes"]},
    ...     {"lung": ["smoke"]},
    ...     {"smoke": [[0.5, 0.5]], "lung": [[0.9, 0.1], [0.6, 0.4]]},
    ... )
    >>> truth = dosift.Mixture({dosift.do(): 0.6, dosift.do(smoke="yes"): 0.4})
    >>> rows = dosift.simulate(network, truth, 10_000, random_state=0)
    >>> model = dosift.InterventionMixture(network).fit(rows)
    >>> [str(target) for target in model.targets_]
    ['do()', 'do(smoke=yes)']
    >>> model.weights_.round(1)
    array([0.6, 0.4])
    """

    _estimator_type_tag = "density_estimator"
    _categorical = True

    fitted_: Fitted
    mixture_: Mixture
    targets_: list[Target]
    network_: Network
    certificate_: Certificate | None
    certainty_: Certainty
    fit_check_: FitCheck
    surprise_scale_: SurprisalScale
    missing_values_: MissingValues
    labels_: Labels | None
    unexplained_rows_: float
    posterior_: Posterior | None
    batches_: pl.DataFrame | None
    graph_: pl.DataFrame | None
    timeline_: pl.DataFrame | None
    verdict_: Record
    negative_control_: Record | None

    def __init__(
        self,
        network: Network | None = None,
        *,
        method: str = "likelihood",
        max_size: int | None = None,
        refine: bool = True,
        gap_tolerance: float = DEFAULT_GAP,
        epsilon: float = DEFAULT_EPSILON,
        delta: float | None = None,
        prior_knowledge: PriorKnowledge | None = None,
        interventions: str = "hard",
        level: float = 0.95,
        random_state: RandomState = 0,
        edges: str = "fixed",
        required_edges: Any = None,
        forbidden_edges: Any = None,
        tiers: Sequence[Sequence[str]] | None = None,
        max_parents: Limit = MOST_PARENTS,
        control_rows: float | None = None,
        changes: Sequence[str] | None = None,
        knockouts: bool = False,
        negative_control: bool = True,
    ) -> None:
        self.network = network
        self.method = method
        self.max_size = max_size
        self.refine = refine
        self.gap_tolerance = gap_tolerance
        self.epsilon = epsilon
        self.delta = delta
        self.prior_knowledge = prior_knowledge
        self.interventions = interventions
        self.level = level
        self.random_state = random_state
        self.edges = edges
        self.required_edges = required_edges
        self.forbidden_edges = forbidden_edges
        self.tiers = tiers
        self.max_parents = max_parents
        self.control_rows = control_rows
        self.changes = changes
        self.knockouts = knockouts
        self.negative_control = negative_control

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "mixture_")

    # Fitting.

    def fit(
        self,
        rows: Any,
        y: object = None,
        *,
        sample_weight: ArrayLike | None = None,
        batch: Any = None,
        labels: Any = None,
        unit: Any = None,
        time: Any = None,
        random_labels: bool = False,
        control: Any = None,
        graph: Any = None,
        edges: str | None = None,
        states: Mapping[str, Sequence[Any]] | str | Path | None = None,
        kinds: Mapping[str, str] | None = None,
        features: Any = None,
        size: str | bool | None = None,
        factors: int = 0,
        progress: Progress | None = None,
    ) -> Self:
        """Find the interventions and their weights.

        Parameters
        ----------
        rows : dataframe, mapping of columns, ndarray of int, path, Encoded or RowBlocks
            One column for each variable of the network, with state names; or an array of state
            codes in the network's order of variables. A Dask or Spark dataframe stays where it is,
            a DuckDB relation, polars lazy frame or pyarrow dataset is read in parts
            (docs/how-to/many-rows.md).
            A learned network gets the states that only these rows show, with a notice.
        y : None
            Ignored; kept for scikit-learn.
        sample_weight : array-like, shape (n_rows,), optional
            Non-negative multiplicities of the rows.
        batch : str or array-like, shape (n_rows,), optional
            The batch of each row, or the column of the rows that holds it. Batches have the
            targets in common, and weights of their own: see `batches_`. A known weight holds in
            every batch. Only for ``"likelihood"``.
        labels : str or array-like, shape (n_rows,), optional
            The intervention of each row where it is known, such as ``"do(smoke=yes)"``, empty
            or missing where not; or the column of the rows that holds it. Of numbers it names those
            that were changed, such as ``"latency"``. The labelled targets are never dropped, and
            labelled rows teach a learned network, and changes. Only for ``"likelihood"``.
        unit : str or array-like, shape (n_rows,), optional
            The unit of each row, or the column of the rows that holds it: rows of one unit were
            hit by the same intervention. Weights are then shares of units. A row without one is a
            unit of its own. Units of two rows and more identify every mixture of do's, whether or
            not it satisfies exclusion (docs/units.md).
        time : str or array-like, shape (n_rows,), optional
            When each row was seen (numbers, dates or timestamps), or the column of the rows that
            holds it. Targets then hold from row to row and switch now and then, so that neighbours
            lend each other evidence; weights are shares of time, and `timeline_` says when which
            target held (docs/how-to/faults-that-last.md). With `unit`, each unit is a series of
            its own. Only for ``"likelihood"``.
        random_labels : bool, default=False
            Whether the labelled rows are a random sample of all rows, and so tell about the
            weights as well. By default the weights are those of the rows without a label.
        control : dataframe, mapping of columns, str or Path, optional
            Rows without any intervention, from which the network is learned: see
            :func:`~dosift.learn_network`. Instead of a network.
        graph : graph, optional
            The graph of that network, as :func:`~dosift.learn_network` takes it. Without it, every
            column of the control rows is a variable, but for those named as batch or labels, and
            the graph is learned from control rows and rows together.
        edges : {"fixed", "repair", "learn"}, optional
            What may become of the graph; goes before that of the constructor.
        states : mapping of str to sequence, str or Path, optional
            States of that network, as :func:`~dosift.learn_network` takes them.
        kinds : mapping of str to {"continuous", "counts", "discrete"}, optional
            What columns of the control rows hold, where that is not what it looks like: texts,
            booleans, and whole numbers of at most 20 distinct values are taken for states, other
            numbers for measurements.
        features : mapping of str to str or sequence of str, optional
            Functions of its parents that the mean of a measurement or count is linear in, such as
            ``{"light": "cos(angle_1 - angle_2)**2"}``, or texts ``"light: cos(angle)**2"``.
        size : str or bool, optional
            What counts are relative to, such as the depth of a cell or the exposure of a row: the
            column that holds it, True for the total of all counts of a row, or False for none. By
            default the total where there are at least ten columns of counts. It is only
            conditioned on: no variable, and nothing happens to it.
        factors : int, default=0
            Hidden factors that each count depends on beside its parents, such as states that cells
            go through: principal components of the other counts, for their size, in the control
            rows. They take the place of edges: without a graph there are none then.
        progress : callable, optional
            Called with a stage's name, the steps done, and the steps in all (or None).

        Returns
        -------
        self

        Raises
        ------
        InputError
            If an argument or the rows are not what the network needs.
        """
        if factors and (edges or self.edges) != "fixed":
            raise InputError(
                "factors take the place of edges that are not known; leave them out where rows may "
                f"change the graph (edges is {edges or self.edges!r})"
            )
        edges = edges_asked(
            self.edges, edges, control is not None, graph is not None or bool(factors)
        )
        check_parameters({**self.get_params(), "edges": edges})
        if not isinstance(random_labels, bool | np.bool_):
            raise InputError(f"random_labels is {random_labels!r}; give True or False")
        known = EdgeKnowledge.of(
            self.required_edges, self.forbidden_edges, self.tiers, self.max_parents
        )
        recipe = Recipe(
            method=self.method,
            max_size=self.max_size,
            refine=self.refine,
            gap=self.gap_tolerance,
            epsilon=self.epsilon,
            delta=self.delta,
            prior_knowledge=self.prior_knowledge,
            interventions=self.interventions,
            random_labels=bool(random_labels),
            random_state=self.random_state,
            edges=edges,
            edge_knowledge=known,
            changes=None if self.changes is None else tuple(self.changes),
            knockouts=bool(self.knockouts),
            negative_control=bool(self.negative_control),
        )
        beside = tuple(name for name in (batch, labels, unit, time) if isinstance(name, str))
        rows = as_lazy(rows)
        table = ControlTable(
            as_lazy(control),
            graph,
            states,
            kinds,
            features,
            beside,
            size=size,
            factors=factors,
            whole_are_counts=bool(self.knockouts),
            unit=unit if isinstance(unit, str) else None,
            time=time if isinstance(time, str) else None,
            batch=batch if isinstance(batch, str) else None,
            labels=labels if isinstance(labels, str) else None,
            holds=sample_weight is not None
            or unit is not None
            or time is not None
            or not all(one is None or isinstance(one, str) for one in (batch, labels)),
        )
        network, rows = self._network(table, rows)
        network = starting_network(network, edges, known, self.control_rows)
        given = {"batch": batch, "labels": labels, "unit": unit, "time": time}
        encode = partial(load, rows, **given, sample_weight=sample_weight)
        network, loaded = with_new_states(network, rows, encode)
        if control is not None and (loaded.order is not None or loaded.unit is not None):
            loaded = replace(loaded, control=control_as_rows(table, network))
        del rows, encode, table  # many rows: what was read is not held twice
        with closing(loaded):
            self._store(fit(recipe, network, loaded, progress))
        self._warn()
        return self

    def _network(self, control: ControlTable, rows: Any) -> tuple[Any, Any]:
        """Return the network that was given, or learn it from control rows, and the rows."""
        if control.rows is None:
            control.refuse_settings()
            return checked_network(self.network), rows
        if self.network is not None:
            raise InputError(
                "a network is given, and control rows to learn one from; leave out the network, "
                "or control= and graph="
            )
        return learn_from_control(control, rows)

    def _store(self, fitted: Fitted) -> None:
        """Set the attributes that a fit has."""
        result, check = fitted.result, fitted.check
        self.fitted_ = fitted
        self.network_ = fitted.network
        self.n_rows_ = fitted.n_rows
        self.n_units_ = fitted.n_units
        self.n_configurations_ = fitted.n_configurations
        names = [one.name for one in self.network_.variables if not one.total_of]
        self.n_features_in_ = len(names)
        self.feature_names_in_ = np.array(names, dtype=object)
        self.mixture_ = Mixture.from_codes(self.network_, result.targets, result.weights)
        self.weights_ = result.weights
        self.optimality_gap_ = result.gap
        self.converged_ = result.converged
        self.certificate_ = result.certificate
        self.log_likelihood_ = result.log_likelihood
        self.penalised_score_ = result.penalised_score
        self.labels_ = fitted.labels
        self.posterior_ = fitted.posterior
        self.missing_values_ = fitted.missing
        self.certainty_ = check.certainty
        self.impossible_rows_ = check.certainty.impossible
        self.fit_check_ = check.fit
        self.surprise_scale_ = fitted.pooled_scale
        self.unexplained_rows_ = check.n_unexplained
        self.verdict_ = Record(verdict_content(fitted))
        control = negative_control_content(fitted)
        self.negative_control_ = None if control is None else Record(control)
        tables = Tables.of_fit(fitted, self.level)
        self.targets_ = tables.targets
        self.components_ = tables.components
        self.variables_ = tables.variables
        self.pairs_ = tables.pairs
        self.families_ = tables.families
        self.confusable_ = tables.confusable
        self.undecided_ = tables.undecided
        self.interventions_ = tables.interventions
        self.mechanisms_ = tables.mechanisms
        self.batches_ = tables.batches
        self.graph_ = tables.graph
        self.timeline_ = tables.timeline

    def _warn(self) -> None:
        if self.missing_values_.dependent:
            words = words_of_warning(self.missing_values_, self.network_)
            warnings.warn(words, MissingValuesWarning, stacklevel=3)
        words = words_of_units(self.fitted_.neighbours, self.fitted_.like_units)
        if words:
            warnings.warn(words, UnitsWarning, stacklevel=3)
        in_time = self.fitted_.in_time
        words = "" if in_time is None else words_of_rows_at_once(in_time.order)
        if words:
            warnings.warn(words, UnitsWarning, stacklevel=3)
        if not self.converged_:
            warnings.warn(
                f"the weights did not converge: the optimality gap is {self.optimality_gap_:.1e} "
                "nats a row; do not trust them",
                ConvergenceWarning,
                stacklevel=3,
            )
        if self.fitted_.unseen:
            named = ", ".join(map(str, self.fitted_.unseen))
            warnings.warn(
                f"{named} is known to occur, but the rows show no such change: it is in no "
                "component. Have more rows, or more kinds of change (changes=, --changes)",
                MisfitWarning,
                stacklevel=3,
            )
        if self.verdict_.value == STANDS:
            return
        if objects_to_the_graph(self.fitted_):
            warnings.warn(objection_in_words(self.fitted_), GraphWarning, stacklevel=3)
        if not self.fit_check_.fits:
            words = misfit_in_words(self.fit_check_, self.network_, self.method)
            warnings.warn(words, MisfitWarning, stacklevel=3)
        elif not objects_to_the_graph(self.fitted_):
            words = " ".join([headline(self.verdict_.value), *self.verdict_.reasons])
            warnings.warn(words, MisfitWarning, stacklevel=3)

    # What is known after fitting.

    def _check_fitted(self) -> None:
        if not hasattr(self, "mixture_"):
            raise not_fitted(self, "fit(rows)")

    def assign(
        self, rows: Any, *, batch: Any = None, unit: Any = None
    ) -> tuple[Assignment, NDArray[np.int64]]:
        """Likelihoods and posteriors of the distinct rows, and where each row is among them.

        Parameters
        ----------
        rows : as in :meth:`fit`
        batch : str or array-like, optional
            The batch of each row, as in :meth:`fit`: each row is then judged by the weights of
            its own batch. By default by the weights of the pool.
        unit : str or array-like, optional
            The unit of each row, as in :meth:`fit`: its rows are then judged together.

        Returns
        -------
        assignment : Assignment
            For the distinct configurations, which are units where these are given.
        inverse : ndarray of int64, shape (n_rows,)
            Position of each row's configuration.
        """
        self._check_fitted()
        known = None if batch is None else fitted_batches(self.fitted_)
        loaded = load(rows, self.network_, batch=batch, unit=unit, batches=known, hold=True)
        if not isinstance(loaded.rows, MemoryBlocks) or loaded.inverse is None:
            raise InputError(
                "rows in blocks are not held; give a table, or use dosift.annotate, or the command "
                "'dosift assign'"
            )
        return self.fitted_.judge(loaded.rows.whole), loaded.inverse

    def predict_proba(
        self,
        rows: Any,
        *,
        batch: Any = None,
        unit: Any = None,
        time: Any = None,
        standing: bool = False,
    ) -> Floats:
        """Posterior probability of each component for each row.

        Parameters
        ----------
        rows : as in :meth:`fit`
        batch, unit : as in :meth:`assign`
        time : str or array-like, optional
            When each row was seen, as in :meth:`fit`: neighbours in time are then judged together,
            each unit as a series, by the rate of switching of the fit.
        standing : bool, default=False
            Whether that of a component which does not stand is its posterior times the probability
            that it is there, as in ``rows.parquet`` and :func:`~dosift.annotate`. The
            probabilities of a row then sum to less than one where what it comes from is in doubt.

        Returns
        -------
        ndarray, shape (n_rows, n_components)
            In the order of `targets_`; a row that no component can produce holds NaN.

        Examples
        --------
        >>> import dosift
        >>> from dosift.datasets import load_incident
        >>> data = load_incident()
        >>> model = dosift.InterventionMixture(data.network).fit(data.rows)
        >>> bool((model.predict_proba(data.rows).sum(axis=1).round(6) == 1.0).all())
        True
        """
        posterior = self._posterior(rows, batch, unit, time)
        return posterior * presence_of_each(self.fitted_) if standing else posterior

    def _posterior(self, rows: Any, batch: Any, unit: Any, time: Any) -> Floats:
        """Posterior of each component for each row, whether or not it stands."""
        if time is not None:
            self._check_fitted()
            known = None if batch is None else fitted_batches(self.fitted_)
            loaded = load(rows, self.network_, batch=batch, unit=unit, time=time, batches=known)
            return posterior_in_time(self.fitted_, loaded)
        found, inverse = self.assign(rows, batch=batch, unit=unit)
        return found.posterior[inverse]

    def predict(
        self, rows: Any, *, batch: Any = None, unit: Any = None, time: Any = None
    ) -> NDArray[np.object_]:
        """Most probable target of each row.

        Parameters
        ----------
        rows : as in :meth:`fit`
        batch, unit, time : as in :meth:`predict_proba`

        Returns
        -------
        ndarray of str, shape (n_rows,)
            Texts such as ``do(lung=no)``, as in :meth:`summary`; None for a row that no component
            can produce.
        """
        if time is None:
            found, inverse = self.assign(rows, batch=batch, unit=unit)
            best, posterior = found.best, found.posterior
        else:
            posterior = self._posterior(rows, batch, unit, time)
            possible = ~np.isnan(posterior[:, 0])
            best = np.where(possible, np.nan_to_num(posterior).argmax(axis=1), -1)
            inverse = np.arange(best.size)
        merged = Merged.of(self.network_, self.fitted_.result.targets, self.weights_)
        # Position -1, a row that no target can produce, picks the last entry.
        texts = np.array([*merged.texts(self.targets_), None], dtype=object)
        out: NDArray[np.object_] = texts[merged.best(best, posterior)][inverse]
        return out

    def surprise(self, rows: Any) -> Floats:
        """How unlikely each row is under the fitted mixture.

        Parameters
        ----------
        rows : as in :meth:`fit`

        Returns
        -------
        ndarray, shape (n_rows,)
            Minus the logarithm of its probability, in nats; infinite if it cannot occur.
        """
        found, inverse = self.assign(rows)
        return -found.log_probability[inverse]

    def surprise_p_value(self, rows: Any) -> Floats:
        """How likely a row as surprising as each is, under the fitted mixture.

        Parameters
        ----------
        rows : as in :meth:`fit`

        Returns
        -------
        ndarray, shape (n_rows,)
            The share of rows, simulated from the fitted mixture, that are at most as probable; 0
            for a row that cannot occur.
        """
        return self.surprise_scale_.p_values(-self.surprise(rows))

    def unexplained(self, rows: Any, *, false_share: float = FALSE_SHARE) -> NDArray[np.bool_]:
        """Name the rows that no intervention of the fitted mixture explains.

        Among them are those that most probably come from elsewhere.

        Parameters
        ----------
        rows : as in :meth:`fit`
        false_share : float, default=0.05
            Expected share of rows of the mixture among those named (Benjamini and Hochberg).

        Returns
        -------
        ndarray of bool, shape (n_rows,)
        """
        found, inverse = self.assign(rows)
        as_counted = unexplained_as_impossible(found, self.fitted_.result.targets)
        p_values = self.surprise_scale_.p_values(as_counted)[inverse]
        return unexplained(p_values, np.ones(p_values.size), false_share)

    def score(
        self, rows: Any, y: object = None, *, sample_weight: ArrayLike | None = None
    ) -> float:
        """Mean log-likelihood of rows under the fitted mixture.

        Parameters
        ----------
        rows : as in :meth:`fit`
        y : None
            Ignored.
        sample_weight : array-like, shape (n_rows,), optional

        Returns
        -------
        float
            In nats a row; minus infinity if a row cannot occur.
        """
        log_probability = -self.surprise(rows)
        weight = checked_weight(sample_weight, log_probability.size)
        return float(np.average(log_probability, weights=weight))

    def sample(self, n_rows: int = 1, *, random_state: RandomState = None) -> pl.DataFrame:
        """Draw rows from the fitted mixture.

        Parameters
        ----------
        n_rows : int, default=1
        random_state : int, Generator or None
            Seed; None takes a fresh one.

        Returns
        -------
        polars.DataFrame
            State names, one column for each variable.
        """
        self._check_fitted()
        return simulate(self.network_, self.mixture_, n_rows, random_state)

    def summary(self) -> Any:
        """Components as a table, in the library that the rows came in.

        Returns
        -------
        dataframe
            The columns of ``components.csv``, by descending weight.
        """
        self._check_fitted()
        return to_native(self.components_, self.fitted_.library)

    def diagnostics(self) -> dict[str, Any]:
        """Return the numbers that tell how far the fit can be trusted.

        Returns
        -------
        dict
            Ready for JSON.
        """
        self._check_fitted()
        return diagnostics_of(self.fitted_)
