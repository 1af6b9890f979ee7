"""Labels of rows of numbers: they say which variables were changed, and rows say by what."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from dosift.data.blocks import Block
from dosift.errors import InputError
from dosift.methods.prior_knowledge import read_or_named
from dosift.methods.prior_numbers import ANY_CHANGE, as_patterns
from dosift.model.altered import Altered
from dosift.model.arrays import Ints
from dosift.model.known_rows import ANY, ControlRows, LabelledRows
from dosift.model.mechanism import Changes, missing
from dosift.model.mechanism_network import MechanismNetwork
from dosift.model.target import Entry, Target
from dosift.search.regrouping import best_change


def read_label(text: str, network: MechanismNetwork) -> tuple[Target, NDArray[np.int64]]:
    """Read a label: names of variables that were changed, or the text of a target.

    Parameters
    ----------
    text : str
        Such as ``"latency"``, ``"do(gene=off)"``, ``"do()"``, or a target as it is shown, such as
        ``"shift(latency+12)"``; of a number only that it was changed is taken from that.
    network : MechanismNetwork

    Returns
    -------
    target : Target
        With ``free(latency)`` for any change of a number.
    entries : ndarray of int64, shape (n_variables,)
        The same as a pattern.

    Raises
    ------
    InputError
        If the text is malformed, or names a variable or state that there is not.
    """
    found = read_or_named(text)
    items: dict[str, Entry] = {}
    for name, entry in found.items():
        i = network.positions.get(name)
        is_number = i is not None and not network.cardinalities[i]
        if is_number and not isinstance(entry, Altered) and not _is_number(entry):
            raise InputError(f"{name!r} is a number, and {entry!r} is none; say {name!r} alone")
        items[name] = ANY_CHANGE if is_number else entry
    target = Target(items)
    entries = as_patterns([target], network, "a label")[0]
    return target, entries.astype(np.int64)


def _is_number(entry: object) -> bool:
    try:
        float(str(entry))
    except ValueError:
        return False
    return True


def taught_by_labels(network: MechanismNetwork, by_text: Ints, block: Block) -> MechanismNetwork:
    """Let labelled rows teach mechanisms, and changes of the variables that their labels name.

    Parameters
    ----------
    network : MechanismNetwork
    by_text : ndarray of int, shape (n_texts, n_variables)
        The pattern of each text by which rows are labelled.
    block : Block
        The rows; those with a missing value teach nothing.

    Returns
    -------
    MechanismNetwork
        It remembers them; and libraries begin with the change that the rows of each label ask for.
    """
    block = block.apart
    assert block.label is not None
    complete = (block.label >= 0) & ~missing(block.values).any(axis=1) & (block.counts > 0)
    labelled = []
    for entries in np.unique(by_text, axis=0):
        texts = np.flatnonzero((by_text == entries).all(axis=1))
        own = complete & np.isin(block.label, texts)
        if own.any():
            rows = ControlRows(np.asfortranarray(block.values[own]), block.counts[own])
            labelled.append(LabelledRows(rows, entries))
    libraries = list(network.libraries)
    for known in labelled:
        for i in map(int, np.flatnonzero(known.entries == ANY)):
            library = libraries[i]
            if not isinstance(library, Changes) or not library.kinds:
                continue
            values, weights = known.rows.values, known.rows.weights
            found = best_change(network.mechanisms[i], library, values, weights)
            if found is not None:
                libraries[i] = replace(library, changes=(*library[:], found))
    return replace(network, libraries=tuple(libraries), labelled=tuple(labelled))
