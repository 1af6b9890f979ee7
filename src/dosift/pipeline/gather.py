"""Rows made ready for estimation: labels read, rows held or counted and sampled."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from dosift.data import sample as sampling
from dosift.data.blocks import Block, MemoryBlocks, RowBlocks
from dosift.data.load import Loaded
from dosift.data.sample import Sampler
from dosift.data.some_blocks import LabelledBlocks, UnlabelledBlocks
from dosift.errors import InputError
from dosift.likelihood.evidence import Evidence
from dosift.likelihood.first_pass import CountFamilies, FirstPass, sampler_after
from dosift.methods.labels import Labels, read_labels, taught, with_labels
from dosift.methods.labels_numbers import taught_by_labels
from dosift.methods.prior_knowledge import PriorKnowledge
from dosift.methods.prior_numbers import patterns_of
from dosift.model.arrays import Ints
from dosift.model.counts import CountChanges
from dosift.model.mechanism import Changes
from dosift.model.mechanism_network import MechanismNetwork, as_network
from dosift.model.network import Network, without_negligible
from dosift.pipeline.recipe import Recipe, features_of
from dosift.pipeline.setup import Gathered, Setup
from dosift.refusals import TIME, refuse
from dosift.utils.progress import Progress, silent


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
        return Gathered(Evidence.held_rows(network, rows, labels))
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
        return Gathered(Evidence.held_rows(network, held, labels))
    tell("drawing a sample", 0, None)
    informed = sampler_after(sampler, found)
    some = informed.configurations(rows.reduce(informed, informed.merge), rows.n_rows)
    evidence = Evidence.of_rows(network, rows, found.counted, labels)
    return Gathered(evidence, rows.beside.block(some.codes, some.counts))


def _few(block: Block, most: int) -> Block:
    """Take every so many-th unit, as many as have so many rows; they count for themselves."""
    step = -(-len(block.values) // most)
    return block.part(np.arange(0, len(block), step))


def prepare(
    recipe: Recipe, network: Network, loaded: Loaded, progress: Progress | None = None
) -> tuple[Setup, Labels | None]:
    """Read labels, let them teach, and gather the rows that count.

    Parameters
    ----------
    recipe : Recipe
    network : Network
    loaded : Loaded
    progress : callable, optional

    Returns
    -------
    setup : Setup
        Its network has learned from labelled rows.
    labels : Labels or None
    """
    rows, known, in_order = loaded.rows, recipe.prior_knowledge, loaded.order is not None
    if recipe.random_labels and loaded.labels is None and not rows.beside.labels:
        raise InputError("random_labels says how rows were labelled, and no labels are given")
    of_numbers = isinstance(network, MechanismNetwork)
    refuse(_features(recipe, loaded, of_numbers))
    if isinstance(network, MechanismNetwork):
        network = as_network(with_kinds(network, recipe.changes, recipe.knockouts))
    else:
        network = without_negligible(network)
    labels = None if loaded.labels is None else _no_labels(loaded)
    by_text = None
    if rows.beside.labels:
        labels = read_labels(loaded, network)
        known = with_labels(known, labels, recipe.max_size)
        network = _taught(network, labels, loaded)
        # In a series labelled rows stand where they stand, and are looked at there.
        if recipe.random_labels and not in_order:
            by_text = labels.by_text
        else:
            rows = unlabelled(rows)
    patterns = None
    if isinstance(network, MechanismNetwork) and known:
        patterns = patterns_of(known, network, recipe.max_size)
        network = as_network(patterns.restricted(network))
    if of_numbers and in_order and isinstance(rows, MemoryBlocks):  # a series is held
        gathered = Gathered(Evidence.held_rows(network, rows, by_text))
    else:
        seed = recipe.random_state if isinstance(recipe.random_state, int) else 0
        gathered = gather(network, rows, by_text, seed, progress or silent)
    _check_batches(gathered.evidence, loaded)
    constraints = None
    if isinstance(network, MechanismNetwork):
        seen = gathered.block
        assert seen is not None
        # Rows that are simulated to be compared with have the sizes of these.
        network = as_network(network.with_covariates_of(seen.values, seen.row_counts))
    else:
        constraints = (known or PriorKnowledge()).constraints(network, recipe.max_size)
    options = recipe.options(constraints, patterns)
    return Setup(recipe, network, gathered, options, progress), labels


def _features(recipe: Recipe, loaded: Loaded, of_numbers: bool) -> set[str]:
    """Name what a recipe and rows with their order ask for."""
    named = features_of(recipe, loaded.rows, of_numbers)
    if loaded.order is not None:
        named.add(TIME)
    if of_numbers and recipe.prior_knowledge is not None:
        named.add("prior knowledge")
    return named


def _taught(network: Network, labels: Labels, loaded: Loaded) -> Network:
    if isinstance(network, MechanismNetwork):
        block = labelled_block(loaded.rows, network)
        return as_network(taught_by_labels(network, labels.by_text, block))
    return taught(network, labels, loaded)


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
