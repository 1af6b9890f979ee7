"""The estimator that joins it all: rows in, mixture of interventions out."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from threadpoolctl import threadpool_limits

from dosift.checks.assignment_confidence import Certainty, certainty
from dosift.checks.block_checks import pair_p_values
from dosift.checks.fit_check import FitCheck
from dosift.checks.missing import MissingValues, look_at_missing, words_of_warning
from dosift.checks.model_check import check_model
from dosift.checks.surprisal import FALSE_SHARE, SurpriseScale, unexplained
from dosift.data import Configurations, Encoded, collapse, load_rows, to_native
from dosift.data.blocks import MemoryBlocks, RowBlocks, available_threads
from dosift.data.engines import engine_blocks, engine_of
from dosift.data.sample import MOST_CONFIGURATIONS
from dosift.data.side_columns import SideColumn, load_with_columns, side_column
from dosift.errors import ConvergenceWarning, InputError, MisfitWarning, MissingValuesWarning
from dosift.inference import Belief, believe
from dosift.inference.rate_tests import Pair, RateWithTest, pair_p_value, rates_with_tests
from dosift.learning.states import with_new_states
from dosift.likelihood.assignment import Assignment, assign
from dosift.likelihood.weights import DEFAULT_GAP
from dosift.methods import DEFAULT_EPSILON, OPTIMISING, Options, estimate
from dosift.methods.batches import BatchedFit, batch_table, check_batches, fit_batches
from dosift.methods.block_fit import fit_blocks, look
from dosift.methods.labels import (
    Labels,
    check_label_options,
    read_labels,
    taught,
    weigh_with_labels,
    with_labels,
)
from dosift.methods.parameters import check_parameters, checked_network
from dosift.methods.prior_knowledge import PriorKnowledge
from dosift.methods.soft import check_kind, intervention_table, mechanism_table, soften
from dosift.model import Mixture, Target
from dosift.model.network import Network, without_negligible
from dosift.model.simulate import RandomState, as_generator
from dosift.results.tables import (
    component_table,
    confusable_table,
    family_table,
    pair_table,
    undecided_table,
    variable_table,
)
from dosift.results.words import fit_check_content, misfit_in_words
from dosift.search.constraints import Constraints
from dosift.search.engine import SearchResult
from dosift.search.mechanisms import ChangedMechanism
from dosift.utils.sklearn_api import Conventions, as_codes, not_fitted

if TYPE_CHECKING:
    import polars as pl

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]
Progress = Callable[[str, int, "int | None"], None]


class InterventionMixture(Conventions):
    """Recover a mixture of unknown do-interventions from unlabelled rows.

    Parameters
    ----------
    network : Network
        The undisturbed causal Bayesian network.
    method : {"likelihood", "moments", "em", "brute-force"}, default="likelihood"
        How targets and weights are estimated. ``"likelihood"`` is penalised maximum likelihood
        with a search for the targets; ``"moments"`` the finite-sample algorithm of Kumar and
        Sinha (UAI 2021); ``"em"`` expectation maximisation over all targets; ``"brute-force"``
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
        ``"likelihood"``, without batches and labels.
    level : float, default=0.95
        Of the intervals, in (0, 1).
    random_state : int, Generator or None, default=0
        Seed of the draws behind intervals, probabilities and the fit check. Targets and weights
        involve no chance.

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
    n_configurations_ : int or None
        Number of distinct rows; None where they are too many to be held.
    n_features_in_ : int
        Number of variables of the network.
    feature_names_in_ : ndarray of str
        Names of the variables.
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
        Mechanisms that changed otherwise; empty unless `interventions` is "any". The network that
        the mixture refers to, `network_`, has their new tables.
    belief_ : Belief or None
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
    surprise_scale_ : SurpriseScale
        The surprise of simulated rows.
    missing_values_ : MissingValues
        How many values are missing, and whether completely at random.

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

    mixture_: Mixture
    network_: Network
    certainty_: Certainty
    fit_check_: FitCheck
    surprise_scale_: SurpriseScale
    missing_values_: MissingValues
    unexplained_rows_: float
    belief_: Belief | None
    batch_fit_: BatchedFit | None
    batches_: pl.DataFrame | None

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
        random_labels: bool = False,
        progress: Progress | None = None,
    ) -> Self:
        """Find the interventions and their weights.

        Parameters
        ----------
        rows : dataframe, mapping of columns, ndarray of int, path, Encoded or RowBlocks
            One column for each variable of the network, with state names; or an array of state
            codes in the network's order of variables. A Dask or Spark dataframe stays where it is,
            a DuckDB relation or polars lazy frame is read in parts (docs/how-to/many-rows.md).
            A learned network gets the states that only these rows show, with a notice.
        y : None
            Ignored; kept for scikit-learn.
        sample_weight : array-like, shape (n_rows,), optional
            Non-negative multiplicities of the rows.
        batch : str or array-like, shape (n_rows,), optional
            The batch of each row, or the column of the rows that holds it. Batches have the
            targets in common, and weights of their own: see `batches_`. Only for ``"likelihood"``.
        labels : str or array-like, shape (n_rows,), optional
            The intervention of each row where it is known, such as ``"do(smoke=yes)"``, empty
            or missing where not; or the column of the rows that holds it. The labelled targets are
            never dropped, and labelled rows teach a learned network. Only for ``"likelihood"``.
        random_labels : bool, default=False
            Whether the labelled rows are a random sample of all rows, and so tell about the
            weights as well. By default the weights are those of the rows without a label.
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
        network = without_negligible(checked_network(self.network))
        check_parameters(self.get_params())
        beside = {"sample_weight": sample_weight, "batch": batch, "labels": labels}
        if engine_of(rows) is not None:
            network, held = with_new_states(network, rows, partial(engine_blocks, rows))
            with closing(held) as blocks:
                return self._fit_blocks(network, blocks, beside, progress)
        if isinstance(rows, RowBlocks):
            return self._fit_blocks(network, rows, beside, progress)
        network, (encoded, (batches, marks)) = with_new_states(
            network, rows, partial(self._encode_beside, rows, batch=batch, labels=labels)
        )
        self._library = encoded.library
        weight = _checked_weight(sample_weight, encoded.codes.shape[0])
        said, own = self.prior_knowledge, None
        check_label_options(marks is not None, random_labels, batches is not None)
        self._check_missing(encoded.codes, marks is not None or batches is not None)
        if marks is not None:
            own = read_labels(marks, network, encoded.codes, self.method, weight)
            said = with_labels(said, own, self.max_size)
            network = taught(network, own, encoded.codes, weight)
        unlabelled = weight if own is None else own.without_labelled(weight)
        configurations = collapse(encoded.codes, network.cardinalities, unlabelled)
        options = self._options_for(network, said)
        if batches is not None:
            check_batches(batches, self.method, self.prior_knowledge)
        check_kind(self.interventions, self.method, batches is not None or own is not None)
        if batches is None and own is None and self._is_large(configurations, options):
            large = MemoryBlocks(configurations.codes, configurations.counts, available_threads())
            large.library = encoded.library
            return self._fit_blocks(network, large, {}, progress)
        result, changed = self._estimate(network, configurations, options, progress)
        self.batch_fit_ = None
        if batches is not None:
            result, self.batch_fit_ = fit_batches(
                result, encoded.codes, unlabelled, batches, options, progress
            )
        found = assign(result.network, result.targets, result.weights, configurations.codes)
        if own is not None and random_labels:
            known = options.constraints or Constraints.none(network.cardinalities)
            result, configurations, found = weigh_with_labels(
                result, configurations, own, encoded.codes, weight, known, self.gap_tolerance
            )
        if batches is not None or (own is not None and random_labels):
            # What lies around the mixture was surveyed before batches or labels changed it.
            result = replace(result, candidates=None, rivals=())
        self._finish(network, configurations, result, changed, found, own, progress)
        if self.batch_fit_ is not None and batches is not None:
            self.batches_ = batch_table(
                result.network,
                self.targets_,
                result.targets,
                self.batch_fit_,
                encoded.codes,
                unlabelled,
                batches,
                refined=self.refine,
                level=self.level,
            )
        self._warn()
        return self

    def _options_for(self, network: Network, said: PriorKnowledge | None) -> Options:
        known = (said or PriorKnowledge()).constraints(network, self.max_size)
        return Options(
            self.max_size, self.refine, self.gap_tolerance, self.epsilon, self.delta, known
        )

    def _estimate(
        self,
        network: Network,
        configurations: Configurations,
        options: Options,
        progress: Progress | None,
    ) -> tuple[SearchResult, tuple[ChangedMechanism, ...]]:
        """Find targets and weights, and mechanisms that changed if that is wanted."""
        self.missing_values_ = look_at_missing(network, configurations)
        # What a bootstrap needs to do the same again.
        self._fitted_from, self._options = network, options
        result = estimate(self.method, network, configurations, options, progress)
        return soften(self.interventions, network, configurations, result, options, progress)

    def _finish(
        self,
        before: Network,
        configurations: Configurations,
        result: SearchResult,
        changed: tuple[ChangedMechanism, ...],
        found: Assignment,
        own: Labels | None,
        progress: Progress | None,
    ) -> None:
        """Work out everything that is known about a mixture once it is found."""
        self._store(before, result, changed, configurations.total, configurations.counts.size)
        self.labels_ = own
        if progress is not None:
            progress("checking the fit", 0, None)
        known = self._options.constraints or Constraints.none(before.cardinalities)
        self._believe(before, configurations, result, found, known)
        # Where targets, batches or labels bind the search, components cannot stand in for a change.
        bound = not known.is_free or self.batch_fit_ is not None or own is not None or changed
        self._check(before, configurations, result, found, not bound)

    # Rows in blocks.

    def _is_large(self, configurations: Configurations, options: Options) -> bool:
        """Whether distinct rows are so many that a sample is searched first."""
        return (
            configurations.counts.size > MOST_CONFIGURATIONS
            and configurations.codes.min() >= 0
            and not self._needs_all_rows(options)
        )

    def _needs_all_rows(self, options: Options) -> str | None:
        """Name what can only be done with all distinct rows in memory, if that is asked for."""
        if self.method != "likelihood":
            return f"method={self.method!r}"
        if self.interventions != "hard":
            return f"interventions={self.interventions!r}"
        if options.constraints is not None and not options.constraints.is_free:
            return "prior_knowledge"
        return None

    def _fit_blocks(
        self,
        network: Network,
        blocks: RowBlocks,
        beside: dict[str, Any],
        progress: Progress | None,
    ) -> Self:
        """Fit to rows that are visited in blocks."""
        for name, value in beside.items():
            if value is not None:
                raise InputError(f"rows in blocks cannot be combined with {name}; give a table")
        if blocks.n_variables != network.n_variables:
            raise InputError("the rows were read for another network")
        self._library = blocks.library
        self.batch_fit_ = None
        options = self._options_for(network, self.prior_knowledge)
        check_kind(self.interventions, self.method, False)
        seed = self.random_state if isinstance(self.random_state, int) else 0
        seen, configurations = look(network, blocks, seed, progress)
        if configurations is not None:
            self._check_missing(configurations.codes, False)
            result, changed = self._estimate(network, configurations, options, progress)
            found = assign(result.network, result.targets, result.weights, configurations.codes)
            self._finish(network, configurations, result, changed, found, None, progress)
            self._warn()
            return self
        needs = self._needs_all_rows(options)
        if needs is not None or seen.incomplete:
            what = needs or f"{seen.incomplete:,.0f} rows with missing values"
            raise InputError(
                f"there are more than {MOST_CONFIGURATIONS:,} distinct rows, and {what} can only "
                "be dealt with for fewer"
                + (": leave those rows out" if needs is None else ", or for a table in memory")
            )
        fitted = fit_blocks(
            network,
            blocks,
            seen,
            seed=seed,
            max_size=self.max_size,
            refine=self.refine,
            gap=self.gap_tolerance,
            random_state=self.random_state,
            progress=progress,
        )
        self._fitted_from, self._options = network, options
        none_missing = np.zeros(network.n_variables)
        self.missing_values_ = MissingValues(none_missing, 0.0, ())
        self.labels_ = None
        self._store(network, fitted.result, (), blocks.n_rows, None)
        self._show(
            network,
            fitted.result,
            fitted.belief,
            fitted.rates,
            lambda pairs: pair_p_values(blocks, network, fitted.rates, pairs),
            np.zeros(len(fitted.result.targets), dtype=bool),
        )
        self.certainty_ = fitted.checks.certainty
        self.impossible_rows_ = self.certainty_.impossible
        self.fit_check_, self.surprise_scale_ = fitted.fit_check, fitted.scale
        self.unexplained_rows_ = fitted.checks.n_unexplained
        self._unexplained_bound = fitted.checks.bound
        self._warn()
        return self

    def _encode(self, rows: Any, network: Network) -> Encoded:
        if isinstance(rows, Encoded):
            return rows
        return load_rows(as_codes(rows, network.n_variables), network, allow_missing=True)

    def _encode_beside(
        self, rows: Any, network: Network, **columns: Any
    ) -> tuple[Encoded, list[SideColumn | None]]:
        """Encode rows, and take what is said of each beside its variables."""
        named = [value for value in columns.values() if isinstance(value, str)]
        if named:
            encoded, beside = load_with_columns(rows, network, named, allow_missing=True)
        else:
            encoded, beside = self._encode(rows, network), []
        found = dict(zip(named, beside, strict=True))
        n_rows = encoded.codes.shape[0]
        return encoded, [
            None
            if value is None
            else found[value]
            if isinstance(value, str)
            else side_column(value, n_rows, name)
            for name, value in columns.items()
        ]

    def _store(
        self,
        before: Network,
        result: SearchResult,
        changed: tuple[ChangedMechanism, ...],
        n_rows: float,
        n_configurations: int | None,
    ) -> None:
        network = result.network
        # Freed tables come with control counts that only say how they were learned.
        control = before.control if changed else network.control
        self.network_ = Network(network.variables, network.parents, network.tables, control)
        self.n_rows_ = n_rows
        self.n_configurations_ = n_configurations
        self.n_features_in_ = self.network_.n_variables
        self.feature_names_in_ = np.array(self.network_.names, dtype=object)
        self.mixture_ = Mixture.from_codes(self.network_, result.targets, result.weights)
        self._target_codes = result.targets
        self.targets_: list[Target] = [
            next(iter(Mixture.from_codes(self.network_, row[None, :], np.ones(1))))
            for row in result.targets
        ]
        self.weights_ = result.weights
        self.optimality_gap_ = result.gap
        self.converged_ = result.converged
        self.certificate_ = result.certificate
        self.log_likelihood_ = result.log_likelihood
        self.penalised_score_ = result.penalised_score
        self.mechanisms_ = mechanism_table(network, changed)
        self.batches_ = None

    def _believe(
        self,
        before: Network,
        configurations: Configurations,
        result: SearchResult,
        found: Assignment,
        known: Constraints,
    ) -> None:
        """Work out errors and probabilities, and the tables that show them."""
        codes, counts = configurations.codes, configurations.counts
        is_known = ~np.isnan(known.fixed(result.targets))
        belief = None
        if self.method in OPTIMISING and found.mixture.min() > 0 and not is_known.all():
            targets, columns = result.targets, found.columns
            if result.candidates is not None:
                others = result.candidates.targets
                targets = np.concatenate([targets, others])
                beside = assign(result.network, others, np.zeros(len(others)), codes).columns
                columns = np.concatenate([columns, beside], axis=1)
            refined = self.refine and self.method == "likelihood"
            with threadpool_limits(1):
                belief = believe(
                    result.network,
                    codes,
                    counts,
                    targets,
                    result.weights,
                    columns,
                    result.candidates,
                    refined,
                    as_generator(self.random_state),
                    is_known,
                )
        rates = rates_with_tests(before, codes, counts)
        self._show(
            before,
            result,
            belief,
            rates,
            lambda pairs: [pair_p_value(before, codes, counts, rates, pair) for pair in pairs],
            is_known,
        )

    def _show(
        self,
        before: Network,
        result: SearchResult,
        belief: Belief | None,
        rates: Sequence[RateWithTest],
        p_values: Callable[[Sequence[Pair]], Sequence[float]],
        is_known: NDArray[np.bool_],
    ) -> None:
        """Make the tables of what is known about the weights."""
        level, weights = self.level, self.weights_
        self.belief_ = belief
        self.components_ = component_table(
            self.targets_, weights, self.n_rows_, belief, level, is_known
        )
        self.variables_ = variable_table(before, result.targets, weights, belief, rates, level)
        self.pairs_ = pair_table(before, result.targets, weights, belief, p_values, level)
        self.interventions_ = intervention_table(
            result.network, result.targets, weights, belief, level
        )
        self.undecided_ = undecided_table(result.network, belief, level)
        self.families_ = family_table(result.network, result.targets, self.weights_, belief, level)
        self.confusable_ = confusable_table(result.network, result.targets, result.rivals)

    def _check(
        self,
        before: Network,
        configurations: Configurations,
        result: SearchResult,
        found: Assignment,
        look_for_changed: bool,
    ) -> None:
        """Work out how sure the rows are, and whether the mixture describes them."""
        self.impossible_rows_ = float(configurations.counts[found.mixture <= 0].sum())
        self.certainty_ = certainty(found, configurations.counts)
        if not self.refine:
            before = Network(before.variables, before.parents, before.tables)
        checked = check_model(
            before,
            configurations,
            result,
            found.log_probability,
            self.random_state,
            look_for_changed and self.method == "likelihood" and not self.missing_values_.n_rows,
            self.missing_values_.suspicious,
        )
        self.fit_check_ = checked.fit
        self.surprise_scale_ = checked.scale
        self.unexplained_rows_ = checked.n_unexplained
        self._unexplained_bound = checked.bound

    def _check_missing(self, codes: Ints, others: bool) -> None:
        """Refuse what needs complete rows."""
        missing = codes.size and codes.min() < 0
        if missing and (others or self.interventions != "hard"):
            what = "batches or labels" if others else f"interventions={self.interventions!r}"
            raise InputError(
                f"{int((codes < 0).any(axis=1).sum())} row(s) have missing values, which cannot be "
                f"combined with {what}; leave those rows out"
            )

    def _warn(self) -> None:
        if self.missing_values_.dependent:
            words = words_of_warning(self.missing_values_, self.network_)
            warnings.warn(words, MissingValuesWarning, stacklevel=3)
        if not self.converged_:
            warnings.warn(
                f"the weights did not converge: the optimality gap is {self.optimality_gap_:.1e} "
                "nats a row; do not trust them",
                ConvergenceWarning,
                stacklevel=3,
            )
        if not self.fit_check_.fits:
            words = misfit_in_words(self.fit_check_, self.network_, self.method)
            warnings.warn(words, MisfitWarning, stacklevel=3)

    # What is known after fitting.

    def _check_fitted(self) -> None:
        if not hasattr(self, "mixture_"):
            raise not_fitted(self, "fit(rows)")

    def assign(self, rows: Any, *, batch: Any = None) -> tuple[Assignment, NDArray[np.int64]]:
        """Likelihoods and posteriors of the distinct rows, and where each row is among them.

        Parameters
        ----------
        rows : as in :meth:`fit`
        batch : str or array-like, optional
            The batch of each row, as in :meth:`fit`: each row is then judged by the weights of
            its own batch. By default by the weights of the pool.

        Returns
        -------
        assignment : Assignment
            For the distinct configurations.
        inverse : ndarray of int64, shape (n_rows,)
            Position of each row's configuration.
        """
        self._check_fitted()
        encoded, (batches,) = self._encode_beside(rows, self.network_, batch=batch)
        if batches is not None:
            if self.batch_fit_ is None:
                raise InputError("the mixture was fitted without batches; leave batch out")
            at = self.batch_fit_.positions(batches)
            return self.batch_fit_.assign(self.network_, self._target_codes, encoded.codes, at)
        configurations = collapse(encoded.codes, self.network_.cardinalities)
        found = assign(self.network_, self._target_codes, self.weights_, configurations.codes)
        return found, configurations.inverse

    def predict_proba(self, rows: Any, *, batch: Any = None) -> Floats:
        """Posterior probability of each component for each row.

        Parameters
        ----------
        rows : as in :meth:`fit`
        batch : as in :meth:`assign`

        Returns
        -------
        ndarray, shape (n_rows, n_components)
            In the order of `targets_`; a row that no component can produce holds NaN.
        """
        found, inverse = self.assign(rows, batch=batch)
        return found.posterior[inverse]

    def predict(self, rows: Any, *, batch: Any = None) -> NDArray[np.object_]:
        """Most probable target of each row.

        Parameters
        ----------
        rows : as in :meth:`fit`
        batch : as in :meth:`assign`

        Returns
        -------
        ndarray of str, shape (n_rows,)
            Texts such as ``do(lung=no)``; None for a row that no component can produce.
        """
        found, inverse = self.assign(rows, batch=batch)
        # Position -1, a row that no target can produce, picks the last entry.
        texts = np.array([*(str(t) for t in self.targets_), None], dtype=object)
        out: NDArray[np.object_] = texts[found.best][inverse]
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
        """Name the rows that the fitted mixture does not explain.

        Parameters
        ----------
        rows : as in :meth:`fit`
        false_share : float, default=0.05
            Expected share of rows of the mixture among those named (Benjamini and Hochberg).

        Returns
        -------
        ndarray of bool, shape (n_rows,)
        """
        p_values = self.surprise_p_value(rows)
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
        weight = _checked_weight(sample_weight, log_probability.size)
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
        from dosift.model.simulate import simulate

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
        return to_native(self.components_, self._library)

    def diagnostics(self) -> dict[str, Any]:
        """Return the numbers that tell how far the fit can be trusted.

        Returns
        -------
        dict
            Ready for JSON.
        """
        self._check_fitted()
        return {
            "n_rows": self.n_rows_,
            "n_configurations": self.n_configurations_,
            "n_components": len(self.targets_),
            "log_likelihood": self.log_likelihood_,
            "penalised_score": self.penalised_score_,
            "optimality_gap": self.optimality_gap_,
            "converged": self.converged_,
            "certificate": self._certificate(),
            "impossible_rows": self.impossible_rows_,
            "unexplained_rows": self.unexplained_rows_,
            "rows_with_missing_values": self.missing_values_.n_rows,
            "fit_check": fit_check_content(self.fit_check_, self.network_),
        }

    def _certificate(self) -> dict[str, Any] | None:
        found = self.certificate_
        if found is None:
            return None
        target = None
        if found.target is not None:
            one = Mixture.from_codes(self.network_, found.target[None, :], np.ones(1))
            target = str(next(iter(one)))
        return {
            "scope": found.scope,
            "n_variables": found.n_variables,
            "n_targets": found.n_targets,
            "largest_gradient": found.largest_gradient,
            "target": target,
        }


def _checked_weight(sample_weight: ArrayLike | None, n_rows: int) -> Floats | None:
    if sample_weight is None:
        return None
    try:
        weight = np.asarray(sample_weight, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError("sample_weight must hold one number for each row") from None
    if weight.shape != (n_rows,):
        raise InputError(f"sample_weight has shape {weight.shape}; {n_rows} rows need ({n_rows},)")
    if not np.all(np.isfinite(weight)) or weight.min() < 0 or weight.sum() <= 0:
        raise InputError("sample_weight must be finite and not negative, with a positive sum")
    return weight
