"""Rows made ready for estimation: labels read, rows held or counted and sampled."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from dosift.data import sample as sampling
from dosift.data.blocks import Block, MemoryBlocks, RowBlocks
from dosift.data.load import Loaded
from dosift.data.sample import Sampler
from dosift.data.some_blocks import LabelledBlocks, UnlabelledBlocks
from dosift.errors import InputError
from dosift.likelihood.evidence import Evidence
from dosift.likelihood.first_pass import CountFamilies, FirstPass, sampler_after
from dosift.methods import Options
from dosift.methods.labels import Labels, read_labels, taught, with_labels
from dosift.methods.labels_numbers import taught_by_labels
from dosift.methods.prior_numbers import patterns_of
from dosift.model.arrays import Ints
from dosift.model.counts import CountChanges
from dosift.model.mechanism import Changes
from dosift.model.mechanism_network import MechanismNetwork, as_network
from dosift.model.network import Network, without_negligible
from dosift.pipeline.recipe import Recipe, features_of
from dosift.refusals import NUMBERS, TIME, refuse
from dosift.utils.progress import Progress, silent


@dataclass(frozen=True)
class Gathered:
    """Rows made ready for estimation.

    Attributes
    ----------
    evidence : Evidence
        All rows that count.
    sample : Block or None
        Some of them, where they are not held.
    """

    evidence: Evidence
    sample: Block | None

    @property
    def held(self) -> Evidence | None:
        """The rows without batches, or a sample of them, held."""
        return self.evidence.pooled if self.evidence.held is not None else None

    def weighed(self, power: float) -> Gathered:
        """Return the same rows, each counting for a part of what it counted."""
        if power == 1.0:
            return self
        sample = self.sample
        if sample is not None:
            sample = replace(sample, counts=sample.counts * power)
        return Gathered(self.evidence.weighed(power), sample)


def gather(
    network: Network, rows: RowBlocks, labels: Ints | None, seed: int, tell: Progress = silent
) -> Gathered:
    """Hold rows if they are few enough; otherwise count families and draw a sample.

    Parameters
    ----------
    network : Network
    rows : RowBlocks
    labels : ndarray of int, shape (n_texts, n_variables), or None
        The targets of labelled rows, where these count.
    seed : int
        Of the sample.
    tell : callable
        Called with a stage's name.

    Returns
    -------
    Gathered
    """
    most = sampling.MOST_CONFIGURATIONS
    if isinstance(rows, MemoryBlocks) and len(rows.whole) <= most:
        return Gathered(Evidence.held_rows(network, rows, labels), None)
    if isinstance(rows, MemoryBlocks) and rows.has_units:
        # Every so many-th of the distinct units, which are in lexicographic order by size.
        return Gathered(Evidence.of_rows(network, rows, None, labels), _few(rows.whole, most))
    tell("counting rows", 0, None)
    sampler = Sampler.of(network.cardinalities, rows.beside, seed)
    first = FirstPass(sampler, CountFamilies(network, len(rows.beside.batches) or 1))
    found = rows.reduce(first, first.merge)
    if found.whole is not None:
        whole = sampler.configurations(found.whole, rows.n_rows)
        held = MemoryBlocks(whole.codes, whole.counts, beside=rows.beside)
        return Gathered(Evidence.held_rows(network, held, labels), None)
    tell("drawing a sample", 0, None)
    informed = sampler_after(sampler, found)
    some = informed.configurations(rows.reduce(informed, informed.merge), rows.n_rows)
    evidence = Evidence.of_rows(network, rows, found.counted, labels)
    return Gathered(evidence, rows.beside.block(some.codes, some.counts))


def counting_for(network: Network, gathered: Gathered, power: float) -> tuple[Network, Gathered]:
    """Let rows count for less.

    Parameters
    ----------
    network : Network
    gathered : Gathered
    power : float
        In (0, 1].

    Returns
    -------
    network : Network
        The same; one of mechanisms forgets what rows that count otherwise taught.
    gathered : Gathered
    """
    if power == 1.0:
        return network, gathered
    if isinstance(network, MechanismNetwork) and network.control is not None:
        network = as_network(replace(network, control=network.control.anew()))
    return network, gathered.weighed(power)


def _few(block: Block, most: int) -> Block:
    """Take every so many-th unit, as many as have so many rows; they count for themselves."""
    step = -(-len(block.values) // most)
    return block.part(np.arange(0, len(block), step))


def prepare(
    recipe: Recipe, network: Network, loaded: Loaded, progress: Progress | None = None
) -> tuple[Network, Gathered, Options, Labels | None]:
    """Read labels, let them teach, and gather the rows that count.

    Parameters
    ----------
    recipe : Recipe
    network : Network
    loaded : Loaded
    progress : callable, optional

    Returns
    -------
    network : Network
        With what labelled rows taught.
    gathered : Gathered
    options : Options
    labels : Labels or None
    """
    rows, labels, known = loaded.rows, None, recipe.prior_knowledge
    if recipe.random_labels and loaded.labels is None and not rows.beside.labels:
        raise InputError("random_labels says how rows were labelled, and no labels are given")
    if isinstance(network, MechanismNetwork):
        return _prepared_numbers(recipe, network, loaded, progress)
    refuse(_features(recipe, loaded))
    network = without_negligible(network)
    if rows.beside.labels or loaded.labels is not None:
        labels = _no_labels(loaded)
        if rows.beside.labels:
            labels = read_labels(loaded, network)
            known = with_labels(known, labels, recipe.max_size)
            network = taught(network, labels, loaded)
            if not recipe.random_labels or loaded.order is not None:
                rows = unlabelled(rows)
    seed = recipe.random_state if isinstance(recipe.random_state, int) else 0
    # In a series labelled rows stand where they stand, and are looked at there.
    counts = recipe.random_labels and loaded.order is None
    by_text = labels.by_text if labels is not None and counts else None
    gathered = gather(network, rows, by_text, seed, progress or silent)
    _check_batches(gathered.evidence, loaded)
    return network, gathered, recipe.options(network, known), labels


def _prepared_numbers(
    recipe: Recipe, network: MechanismNetwork, loaded: Loaded, progress: Progress | None
) -> tuple[Network, Gathered, Options, Labels | None]:
    """Gather rows of numbers, and let libraries grow by the kinds of change asked for."""
    named = _features(recipe, loaded) | {NUMBERS}
    if recipe.prior_knowledge is not None:
        named.add("prior knowledge")
    refuse(named)
    network = with_kinds(network, recipe.changes, recipe.knockouts)
    rows, known = loaded.rows, recipe.prior_knowledge
    seed = recipe.random_state if isinstance(recipe.random_state, int) else 0
    labels = by_text = None
    if rows.beside.labels or loaded.labels is not None:
        labels = _no_labels(loaded)
        if rows.beside.labels:
            labels = read_labels(loaded, network)
            known = with_labels(known, labels, recipe.max_size)
            network = taught_by_labels(network, labels.by_text, labelled_block(rows, network))
            counts = recipe.random_labels and loaded.order is None
            by_text = labels.by_text if counts else None
            rows = rows if counts else unlabelled(rows)
    patterns = None
    if known:
        patterns = patterns_of(known, network, recipe.max_size)
        network = patterns.restricted(network)
    if isinstance(rows, MemoryBlocks) and loaded.order is not None:  # a series is held
        gathered = Gathered(Evidence.held_rows(as_network(network), rows, by_text), None)
    else:
        gathered = gather(as_network(network), rows, by_text, seed, progress or silent)
    seen = gathered.evidence.held if gathered.sample is None else gathered.sample
    assert seen is not None
    # Rows that are simulated to be compared with have the sizes of these.
    network = network.with_covariates_of(seen.values, seen.row_counts)
    system = as_network(network)
    _check_batches(gathered.evidence, loaded)
    options = Options(
        recipe.max_size,
        recipe.refine,
        recipe.gap,
        recipe.epsilon,
        recipe.delta,
        patterns=patterns,
    )
    return system, gathered, options, labels


def _features(recipe: Recipe, loaded: Loaded) -> set[str]:
    """Name what a recipe and rows with their order ask for."""
    named = features_of(recipe, loaded.rows)
    if loaded.order is not None:
        named.add(TIME)
    return named


def with_kinds(
    network: MechanismNetwork, kinds: tuple[str, ...] | None, lowers: bool
) -> MechanismNetwork:
    """Say by which kinds of change libraries may grow.

    Parameters
    ----------
    network : MechanismNetwork
    kinds : tuple of str or None
        None for those that suit each kind of variable.
    lowers : bool
        Whether changes of counts can only lower them.

    Returns
    -------
    MechanismNetwork
    """
    libraries = []
    for library in network.libraries:
        if isinstance(library, Changes) and library.kinds:
            if kinds is not None:
                library = replace(library, kinds=frozenset(kinds))  # noqa: PLW2901
            if isinstance(library, CountChanges):
                library = replace(library, lowers=lowers)  # noqa: PLW2901
        libraries.append(library)
    return replace(network, libraries=tuple(libraries))


def _no_labels(loaded: Loaded) -> Labels:
    nothing = np.empty(0, dtype=np.int64)
    n_rows = 0 if loaded.labels is None else loaded.labels.index.size
    index = np.full(n_rows, -1, dtype=np.int64)
    n_variables = loaded.rows.n_variables
    return Labels((), np.empty((0, n_variables), np.int64), index, np.append(nothing, -1))


def unlabelled(rows: RowBlocks) -> RowBlocks:
    """Leave labelled rows out."""
    if not isinstance(rows, MemoryBlocks):
        return UnlabelledBlocks(rows)
    block = rows.whole
    assert block.label is not None
    rest = replace(block.part(block.label < 0), label=None)
    beside = replace(rows.beside, labels=())
    out = MemoryBlocks.of_block(rest, beside)
    out.library = rows.library
    return out


def labelled_block(rows: RowBlocks, network: MechanismNetwork) -> Block:
    """Hold the labelled rows.

    Parameters
    ----------
    rows : RowBlocks
        Of which some have labels.
    network : MechanismNetwork

    Returns
    -------
    Block
        All rows where they are held. Of more labelled rows than may be held, some that a hash
        picks, which count for all.
    """
    if isinstance(rows, MemoryBlocks):
        return rows.whole
    own = LabelledBlocks(rows)
    sampler = Sampler.of(network.cardinalities, rows.beside, 0)
    some = own.reduce(sampler, sampler.merge)
    counts = some.counts * (own.n_rows / max(float(some.counts.sum()), 1e-300))
    return rows.beside.block(some.codes, counts)


def _check_batches(evidence: Evidence, loaded: Loaded) -> None:
    """Refuse batches without rows, and rows without a batch."""
    names = evidence.rows.beside.batches
    if not names:
        return
    column = loaded.batch
    name, path = ("batch", None) if column is None else (column.name, column.path)
    if evidence.without_batch:
        raise InputError(
            f"{name} is empty in {evidence.without_batch:g} row(s); every row needs its batch",
            path=path,
        )
    empty = [batch for batch, n in zip(names, evidence.n_rows, strict=True) if n <= 0]
    if empty:
        raise InputError(
            f"{name}: all rows of batch {empty[0]!r} are labelled or of weight zero, so that there "
            "is nothing to estimate; leave these rows out",
            path=path,
        )
