"""The estimator that joins it all: rows in, mixture of interventions out.

It computes nothing: parameters become a recipe, rows become blocks, :mod:`dosift.pipeline` fits,
and :mod:`dosift.results` makes the tables.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dosift.data.lazy import as_lazy
from dosift.data.load import load
from dosift.errors import InputError
from dosift.learning.edge_knowledge import MOST_PARENTS, EdgeKnowledge, Limit
from dosift.learning.mixed import ControlTable, control_as_rows, learn_from_control
from dosift.learning.states import with_new_states
from dosift.likelihood.weights import DEFAULT_GAP
from dosift.methods import DEFAULT_EPSILON
from dosift.methods.parameters import (
    check_parameters,
    checked_network,
    edges_asked,
    starting_network,
)
from dosift.methods.prior_knowledge import PriorKnowledge
from dosift.model.network import Network
from dosift.model.simulate import RandomState
from dosift.pipeline import Recipe, fit
from dosift.results.predictions import Predictions
from dosift.results.warned import warn_of_fit
from dosift.utils.sklearn_api import Conventions

Floats = NDArray[np.float64]
Progress = Callable[[str, int, "int | None"], None]


class InterventionMixture(Predictions, Conventions):
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
    moved_mechanism : bool, default=True
        Whether a mechanism that clearly is another in the pool than in control rows is learned from
        the pool alone, and the search made again with it: see `mechanisms_`. If not, the verdict
        names it.

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
        moved_mechanism: bool = True,
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
        self.moved_mechanism = moved_mechanism

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
            moved_mechanism=bool(self.moved_mechanism),
        )
        given = {"batch": batch, "labels": labels, "unit": unit, "time": time}
        named = {role: value for role, value in given.items() if isinstance(value, str)}
        rows = as_lazy(rows)
        table = ControlTable(
            as_lazy(control),
            graph,
            states,
            kinds,
            features,
            tuple(named.values()),
            size=size,
            factors=factors,
            whole_are_counts=bool(self.knockouts),
            holds=sample_weight is not None
            or unit is not None
            or time is not None
            or not all(one is None or isinstance(one, str) for one in (batch, labels)),
            **named,
        )
        network, rows = self._network(table, rows)
        network = starting_network(network, edges, known, self.control_rows)
        encode = partial(load, rows, **given, sample_weight=sample_weight)
        network, loaded = with_new_states(network, rows, encode)
        if control is not None and (loaded.order is not None or loaded.unit is not None):
            loaded = replace(loaded, control=control_as_rows(table, network))
        del rows, encode, table  # many rows: what was read is not held twice
        with closing(loaded):
            self._store(fit(recipe, network, loaded, progress))
        warn_of_fit(self)
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
