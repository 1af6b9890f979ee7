"""Everything that is checked about a fitted mixture: does it describe the rows, and which not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from dosift.checks.fit_check import FitCheck, check_fit
from dosift.checks.surprisal import SurpriseScale, largest_unexplained
from dosift.data.configurations import Configurations, collapse
from dosift.likelihood.assignment import assign
from dosift.model.network import Network
from dosift.model.simulate import RandomState, as_generator, sample_codes
from dosift.search.engine import SearchResult
from dosift.search.mechanisms import suspect_mechanism

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]

#: Simulated rows: at least the first, the second times as many as rows, at most the third.
_LEAST, _FACTOR, _MOST = 100_000, 5, 300_000
#: Values (rows times variables) simulated at most, but always so many rows.
_VALUES, _FEWEST = 60_000_000, 20_000
#: Cells of the joint distribution up to which counts are drawn rather than rows.
_MOST_CELLS = 2**14
#: Values of simulated rows whose probability is worked out, for the scale of surprise.
_SCALE_VALUES = 10_000_000


@dataclass(frozen=True)
class ModelCheck:
    """What the checks found.

    Attributes
    ----------
    fit : FitCheck
    scale : SurpriseScale
    bound : float
        P-value of surprise up to which rows are named as unexplained.
    n_unexplained : float
        How many these are.
    """

    fit: FitCheck
    scale: SurpriseScale
    bound: float
    n_unexplained: float


def check_model(
    before: Network,
    configurations: Configurations,
    result: SearchResult,
    log_probability: Floats,
    random_state: RandomState,
    look_for_changed: bool,
    skipped: frozenset[int] = frozenset(),
) -> ModelCheck:
    """Simulate from the fitted mixture, and compare.

    Parameters
    ----------
    before : Network
        As it was given; without control counts its tables are taken as known.
    configurations : Configurations
        The rows.
    result : SearchResult
    log_probability : ndarray, shape (n_configurations,)
        Of the configurations under the mixture.
    random_state : int, Generator, SeedSequence or None
    look_for_changed : bool
        Whether to try if a freed table does better. Only sensible for a mixture that
        maximises the likelihood of complete rows.
    skipped : frozenset of int, optional
        Variables that are not missing completely at random.

    Returns
    -------
    ModelCheck
    """
    drawn, scale = draw(result, configurations.total, random_state)
    changed = None
    if look_for_changed:
        with threadpool_limits(1):
            changed = suspect_mechanism(before, configurations, result)
    p_values = scale.p_values(log_probability)
    bound = largest_unexplained(p_values, configurations.counts)
    fit = check_fit(result.network, configurations, drawn, changed, skipped)
    n_unexplained = float(configurations.counts[p_values <= bound].sum())
    return ModelCheck(fit, scale, bound, n_unexplained)


def draw(
    result: SearchResult, n_rows: float, random_state: RandomState
) -> tuple[Configurations, SurpriseScale]:
    """Simulate rows from a mixture, to compare the rows with.

    Parameters
    ----------
    result : SearchResult
    n_rows : float
        Number of rows that they will be compared with.
    random_state : int, Generator, SeedSequence or None

    Returns
    -------
    drawn : Configurations
    scale : SurpriseScale
        Of the first of them.
    """
    rng = as_generator(random_state)
    source = _source(result.network, result.targets, result.weights)
    first, scale = source.draw_scale(rng)
    n = result.network.n_variables
    wanted = min(max(_LEAST, _FACTOR * n_rows), _MOST)
    n_more = int(min(wanted, max(_VALUES // n, _FEWEST))) - int(first.total)
    return source.join(first, source.draw(max(n_more, 0), rng)), scale


def surprise_scale(
    network: Network, targets: Ints, weights: Floats, random_state: RandomState
) -> SurpriseScale:
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
    SurpriseScale
    """
    source = _source(network, targets, weights)
    return source.draw_scale(as_generator(random_state))[1]


@dataclass(frozen=True)
class _Simulated:
    """Rows drawn one by one from a mixture."""

    network: Network
    targets: Ints
    weights: Floats

    def draw(self, n_rows: int, rng: np.random.Generator) -> Configurations:
        codes, _ = sample_codes(self.network, self.targets, self.weights, n_rows, rng)
        return collapse(codes, self.network.cardinalities)

    def draw_scale(self, rng: np.random.Generator) -> tuple[Configurations, SurpriseScale]:
        n_rows = min(_LEAST, max(_SCALE_VALUES // self.network.n_variables, _FEWEST))
        distinct = self.draw(n_rows, rng)
        with threadpool_limits(1):
            found = assign(self.network, self.targets, self.weights, distinct.codes)
        return distinct, SurpriseScale.of_sample(found.log_probability, distinct.counts)

    def join(self, one: Configurations, other: Configurations) -> Configurations:
        codes = np.concatenate([one.codes, other.codes])
        counts = np.concatenate([one.counts, other.counts])
        return collapse(codes, self.network.cardinalities, counts)


@dataclass(frozen=True)
class _Tabulated:
    """Counts drawn at once, where all cells can be listed: the same distribution, and quicker."""

    codes: Ints
    log_probability: Floats

    def draw(self, n_rows: int, rng: np.random.Generator) -> Configurations:
        shares = np.exp(self.log_probability)
        counts = rng.multinomial(n_rows, shares / shares.sum()).astype(np.float64)
        return Configurations(self.codes, counts, np.empty(0, dtype=np.int64))

    def draw_scale(self, rng: np.random.Generator) -> tuple[Configurations, SurpriseScale]:
        drawn = self.draw(_LEAST, rng)
        seen = drawn.counts > 0
        scale = SurpriseScale.of_sample(self.log_probability[seen], drawn.counts[seen])
        return drawn, scale

    def join(self, one: Configurations, other: Configurations) -> Configurations:
        counts = one.counts + other.counts
        seen = counts > 0
        codes = np.asfortranarray(self.codes[seen])
        return Configurations(codes, counts[seen], np.empty(0, dtype=np.int64))


def _source(network: Network, targets: Ints, weights: Floats) -> _Simulated | _Tabulated:
    sizes = network.cardinalities
    if float(np.prod(sizes.astype(np.float64))) > _MOST_CELLS:
        return _Simulated(network, targets, weights)
    codes = np.asfortranarray(np.indices(tuple(sizes)).reshape(sizes.size, -1).T)
    with threadpool_limits(1):
        found = assign(network, targets, weights, codes)
    return _Tabulated(codes, found.log_probability)
