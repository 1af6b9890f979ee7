"""Everything that is checked about a fitted mixture: does it describe the rows, and which not.

One pass over the rows, whatever holds them, gives what the checks need of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dosift.checks.assignment_confidence import Certainty, certainty_of_sums, certainty_sums
from dosift.checks.bins import Bins
from dosift.checks.fit_check import FitCheck, check_counts, compared
from dosift.checks.pair_counts import PairCounts
from dosift.checks.surprisal import SurprisalScale, largest_unexplained
from dosift.data.configurations import Configurations, collapse
from dosift.likelihood.assignment import Assignment, assign, judge
from dosift.likelihood.columns import RowLikelihoods
from dosift.likelihood.evidence import Evidence
from dosift.model.arrays import Floats, Ints
from dosift.model.mechanism_network import MechanismNetwork
from dosift.model.network import Network
from dosift.model.other import is_other
from dosift.model.simulate import RandomState, as_generator, sample_codes
from dosift.search.mechanisms import suspect_mechanism
from dosift.search.result import SearchResult

#: Simulated rows: at least the first, the second times as many as rows, at most the third.
_LEAST, _FACTOR, _MOST = 100_000, 5, 300_000
#: Values (rows times variables) simulated at most, but always so many rows.
_VALUES, _FEWEST = 60_000_000, 20_000
#: Cells of the joint distribution up to which counts are drawn rather than rows.
_MOST_CELLS = 2**14
#: Cells for each simulated row up to which rows are counted in the joint table.
_CELLS_OF_A_ROW = 8
#: Cells of a family of binned numbers that is compared.
_MOST_FAMILY_CELLS = 2**11
#: Values of simulated rows whose probability is worked out, for the scale of surprise.
_SCALE_VALUES = 10_000_000


@dataclass(frozen=True)
class ModelCheck:
    """What the checks found.

    Attributes
    ----------
    fit : FitCheck
    certainty : Certainty
    scale : SurprisalScale
    bound : float
        P-value of surprise up to which rows are named as unexplained.
    n_unexplained : float
        How many these are.
    """

    fit: FitCheck
    certainty: Certainty
    scale: SurprisalScale
    bound: float
    n_unexplained: float


@dataclass(frozen=True)
class CountSurprisal:
    """Counts rows by how surprising they are.

    Attributes
    ----------
    targets : ndarray of int, shape (n_targets, n_variables)
    weights : ndarray, shape (n_batches, n_targets)
    scale : SurprisalScale
    """

    targets: Ints
    weights: Floats
    scale: SurprisalScale

    def __call__(self, rows: RowLikelihoods) -> tuple[Floats, ...]:
        """Count the rows of a block at each place of the scale, the impossible ones first."""
        found = judge(rows, self.targets, self.weights)
        return (self.count(unexplained_as_impossible(found, self.targets), rows.block.counts),)

    def count(self, log_probability: Floats, counts: Floats) -> Floats:
        """Count rows by their log-probability."""
        place = self.scale.places(log_probability) + 1
        place[np.isneginf(log_probability)] = 0
        n_places = self.scale.log_probability.size + 2
        return np.bincount(place, weights=counts, minlength=n_places).astype(np.float64)


def unexplained_as_impossible(found: Assignment, targets: Ints) -> Floats:
    """Log-probability of rows, where no intervention explains those that come from elsewhere.

    Parameters
    ----------
    found : Assignment
    targets : ndarray of int, shape (n_targets, n_variables)

    Returns
    -------
    ndarray, shape (n_rows,)
        Minus infinity for a row whose most probable target is that of rows from elsewhere.
    """
    other, log_probability = is_other(targets), found.log_probability
    if not other.any():
        return log_probability
    return np.where(other[found.best], -np.inf, log_probability)


def unexplained_bound(scale: SurprisalScale, by_place: Floats) -> tuple[float, float]:
    """Find which rows are named as unexplained.

    Parameters
    ----------
    scale : SurprisalScale
    by_place : ndarray
        Sum of what :class:`CountSurprisal` counts.

    Returns
    -------
    bound : float
        Rows with a p-value up to it are; -1 if none is.
    n_rows : float
        How many these are.
    """
    p_values = np.append(0.0, scale.levels())
    bound = largest_unexplained(p_values, by_place)
    return bound, float(by_place[p_values <= bound].sum())


@dataclass(frozen=True)
class _SumChecks:
    """Sums for all checks."""

    surprise: CountSurprisal
    pairs: PairCounts
    bins: Bins
    #: Families that are counted here, as nobody else has.
    families: tuple[tuple[int, ...], ...]

    def __call__(self, rows: RowLikelihoods) -> tuple[Floats, ...]:
        found = judge(rows, self.surprise.targets, self.surprise.weights)
        counts = rows.block.counts
        as_counted = unexplained_as_impossible(found, self.surprise.targets)
        surprise = self.surprise.count(as_counted, counts)
        codes = self.bins(rows.block.values)
        families = [self._family(family, codes, counts) for family in self.families]
        return *certainty_sums(found, counts), surprise, *families, *self.pairs(codes, counts)

    def _family(self, family: tuple[int, ...], codes: Ints, counts: Floats) -> Floats:
        seen = (codes[:, list(family)] >= 0).all(axis=1)
        sizes = tuple(int(self.bins.cardinalities[i]) for i in family)
        place = np.ravel_multi_index(tuple(codes[seen][:, list(family)].T), sizes)
        return np.bincount(place, counts[seen], math.prod(sizes)).astype(np.float64)


@dataclass(frozen=True)
class _SumCertainty:
    """Sums that tell how sure units are."""

    targets: Ints
    weights: Floats

    def __call__(self, rows: RowLikelihoods) -> tuple[Floats, ...]:
        return certainty_sums(judge(rows, self.targets, self.weights), rows.block.counts)


def check_model(
    given: Network,
    evidence: Evidence,
    result: SearchResult,
    random_state: RandomState,
    sample: Evidence | None,
    skipped: frozenset[int] = frozenset(),
    explained: SearchResult | None = None,
) -> ModelCheck:
    """Simulate from the fitted mixture, and compare.

    Parameters
    ----------
    given : Network
        As it was before any mixture row taught it; without control counts its tables are taken as
        known.
    evidence : Evidence
        All rows.
    result : SearchResult
    random_state : int, Generator, SeedSequence or None
    sample : Evidence or None
        The rows, or some of them, held, by which to see whether a freed table does better; None
        where that is not to be looked at.
    skipped : frozenset of int, optional
        Variables that are not missing completely at random.
    explained : SearchResult, optional
        The mixture of `sample`, if that is another one.

    Returns
    -------
    ModelCheck
    """
    network, targets = result.network, result.targets
    weights = result.weights[None] if result.batch_weights is None else result.batch_weights
    drawn, scale = draw(result, evidence.n_rows, random_state)
    changed = None
    if sample is not None:
        changed = suspect_mechanism(given, sample, explained or result)
    bins = Bins.of(network, drawn.codes)
    hidden: frozenset[int] = getattr(network, "covariates", frozenset())
    pairs, families = compared(bins, skipped | hidden)
    families = [f for f in families if _n_cells(bins, f) <= _MOST_FAMILY_CELLS or is_tabular(bins)]
    surprise = CountSurprisal(targets, weights, scale)
    counter = PairCounts(bins.cardinalities, tuple(pairs), evidence.incomplete > 0)
    here = () if is_tabular(bins) else tuple(families)
    shared = evidence.shared(given)
    sums = shared.sum(network, targets, _SumChecks(surprise, counter, bins, here))
    (by_place, *counted), sums = sums[4:], sums[:4]
    if evidence.has_units:
        sums = evidence.sum(network, targets, _SumCertainty(targets, weights))
        (by_place,) = evidence.apart(given).sum(network, targets, surprise)
    own, counted = counted[: len(here)], counted[len(here) :]
    if is_tabular(bins):
        own = [shared.families[f[-1]].ravel() for f in families]
    tables = [*counter.tables(counted), *own]
    observed = [(np.flatnonzero(table), table[table > 0]) for table in tables]
    bound, n_unexplained = unexplained_bound(scale, by_place)
    binned = Configurations(bins(drawn.codes), drawn.counts, drawn.inverse)
    fit = check_counts(bins, observed, binned, (pairs, families), changed)
    if sample is not None and not fit.fits and changed is None:
        # Where rows come in units, no component need stand in for a mechanism that is another.
        changed = suspect_mechanism(given, sample, explained or result, fit.suspects)
        fit = replace(fit, changed=changed)
    return ModelCheck(fit, certainty_of_sums(sums), scale, bound, n_unexplained)


def with_surprises(
    check: ModelCheck, evidence: Evidence, result: SearchResult, random_state: RandomState
) -> ModelCheck:
    """Say how surprising rows are under other weights than those that were checked.

    Parameters
    ----------
    check : ModelCheck
    evidence : Evidence
        The rows, each by itself.
    result : SearchResult
        With the weights that count.
    random_state : int, Generator, SeedSequence or None

    Returns
    -------
    ModelCheck
    """
    network, targets = result.network, result.targets
    weights = result.weights[None] if result.batch_weights is None else result.batch_weights
    share = evidence.n_rows / evidence.total
    _, scale = _draw_scale(network, targets, weights, share, as_generator(random_state))
    (by_place,) = evidence.sum(network, targets, CountSurprisal(targets, weights, scale))
    bound, n_unexplained = unexplained_bound(scale, by_place)
    return replace(check, scale=scale, bound=bound, n_unexplained=n_unexplained)


def is_tabular(bins: Bins) -> bool:
    """Whether all variables are discrete, so that families were counted already."""
    return all(cut is None for cut in bins.cuts)


def _n_cells(bins: Bins, family: tuple[int, ...]) -> int:
    return math.prod(int(bins.cardinalities[i]) for i in family)


def draw(
    result: SearchResult, n_rows: Floats, random_state: RandomState
) -> tuple[Configurations, SurprisalScale]:
    """Simulate rows from a mixture, to compare the rows with.

    Parameters
    ----------
    result : SearchResult
    n_rows : ndarray, shape (n_batches,)
        Number of rows that they will be compared with.
    random_state : int, Generator, SeedSequence or None

    Returns
    -------
    drawn : Configurations
        Of all batches, in proportion.
    scale : SurprisalScale
        Of the first of them.
    """
    rng = as_generator(random_state)
    batches = result.weights[None] if result.batch_weights is None else result.batch_weights
    share = n_rows / n_rows.sum()
    first, scale = _draw_scale(result.network, result.targets, batches, share, rng)
    n = result.network.n_variables
    wanted = min(max(_LEAST, _FACTOR * float(n_rows.sum())), _MOST)
    n_more = int(min(wanted, max(_VALUES // n, _FEWEST))) - int(first.total)
    source = _source(result.network, result.targets, share @ batches)
    drawn = source.join(first, source.draw(max(n_more, 0), rng))
    seen = drawn.counts > 0
    codes = np.asfortranarray(drawn.codes[seen])
    return Configurations(codes, drawn.counts[seen], np.empty(0, dtype=np.int64)), scale


def surprisal_scale(
    network: Network, targets: Ints, weights: Floats, random_state: RandomState
) -> SurprisalScale:
    """Simulate rows from a mixture, and work out how surprising they are.

    Parameters
    ----------
    network : Network
    targets : ndarray of int, shape (n_targets, n_variables)
    weights : ndarray, shape (n_targets,)
    random_state : int, Generator, SeedSequence or None
        The same as in :func:`check_model` gives the same scale.

    Returns
    -------
    SurprisalScale
    """
    rng = as_generator(random_state)
    return _draw_scale(network, targets, weights[None], np.ones(1), rng)[1]


def _draw_scale(
    network: Network, targets: Ints, weights: Floats, share: Floats, rng: np.random.Generator
) -> tuple[Configurations, SurprisalScale]:
    """Draw rows of every batch, in proportion, and work out how surprising they are."""
    n_rows = min(_LEAST, max(_SCALE_VALUES // network.n_variables, _FEWEST))
    numbers = np.diff(np.rint(np.cumsum(share) * n_rows), prepend=0.0).astype(np.int64)
    drawn: Configurations | None = None
    log_probability, counts = [], []
    for own, number in zip(weights, numbers, strict=True):
        source = _source(network, targets, own)
        rows = source.draw(int(number), rng)
        seen = rows.counts > 0
        log_probability.append(source.log_probability_of(rows)[seen])
        counts.append(rows.counts[seen])
        drawn = rows if drawn is None else source.join(drawn, rows)
    assert drawn is not None
    scale = SurprisalScale.of_sample(np.concatenate(log_probability), np.concatenate(counts))
    return drawn, scale


@dataclass(frozen=True)
class _Simulated:
    """Rows drawn one by one from a mixture."""

    network: Network
    targets: Ints
    weights: Floats

    def draw(self, n_rows: int, rng: np.random.Generator) -> Configurations:
        if isinstance(self.network, MechanismNetwork):
            values, _ = self.network.draw(self.targets, self.weights, n_rows, rng)
            return Configurations(values, np.ones(n_rows), np.empty(0, dtype=np.int64))
        codes, _ = sample_codes(self.network, self.targets, self.weights, n_rows, rng)
        return _distinct(codes, self.network.cardinalities)

    def log_probability_of(self, rows: Configurations) -> Floats:
        found = assign(self.network, self.targets, self.weights, rows.codes)
        return found.log_probability

    def join(self, one: Configurations, other: Configurations) -> Configurations:
        codes = np.concatenate([one.codes, other.codes])
        counts = np.concatenate([one.counts, other.counts])
        if isinstance(self.network, MechanismNetwork):
            return Configurations(codes, counts, np.empty(0, dtype=np.int64))
        return _distinct(codes, self.network.cardinalities, counts)


def _distinct(
    codes: Ints, cardinalities: NDArray[np.int64], counts: Floats | None = None
) -> Configurations:
    """Collapse simulated rows, in which nothing is missing; nobody asks where each one went."""
    size = float(np.prod(cardinalities.astype(np.float64)))
    if size > _CELLS_OF_A_ROW * max(len(codes), 1):
        return collapse(codes, cardinalities, counts)
    cells = np.zeros(len(codes), dtype=np.int64)
    for column, n_states in zip(codes.T, cardinalities.tolist(), strict=True):
        cells *= n_states
        cells += column
    table = np.bincount(cells, counts, int(size)).astype(np.float64)
    occurs = table.nonzero()[0]
    distinct = np.empty((occurs.size, len(cardinalities)), dtype=codes.dtype, order="F")
    for j, column in enumerate(np.unravel_index(occurs, tuple(cardinalities.tolist()))):
        distinct[:, j] = column
    return Configurations(distinct, table[occurs], np.empty(0, dtype=np.int64))


@dataclass(frozen=True)
class _Tabulated:
    """Counts drawn at once, where all cells can be listed: the same distribution, and quicker."""

    codes: Ints
    log_probability: Floats

    def draw(self, n_rows: int, rng: np.random.Generator) -> Configurations:
        shares = np.exp(self.log_probability)
        counts = rng.multinomial(n_rows, shares / shares.sum()).astype(np.float64)
        return Configurations(self.codes, counts, np.empty(0, dtype=np.int64))

    def log_probability_of(self, rows: Configurations) -> Floats:
        return self.log_probability

    def join(self, one: Configurations, other: Configurations) -> Configurations:
        return Configurations(self.codes, one.counts + other.counts, one.inverse)


def _source(network: Network, targets: Ints, weights: Floats) -> _Simulated | _Tabulated:
    sizes = network.cardinalities
    if not sizes.all() or float(np.prod(sizes.astype(np.float64))) > _MOST_CELLS:
        return _Simulated(network, targets, weights)
    codes = np.asfortranarray(np.indices(tuple(sizes)).reshape(sizes.size, -1).T)
    return _Tabulated(codes, assign(network, targets, weights, codes).log_probability)
