"""What a bootstrap does again and again: one problem, told from all others."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from dosift._version import __version__
from dosift.data.blocks import MemoryBlocks
from dosift.io.mechanism_file import format_mechanism_network
from dosift.methods import Options
from dosift.model.mechanism_network import MechanismNetwork
from dosift.model.network import Network
from dosift.pipeline import Recipe

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]
Kind = Literal["nonparametric", "parametric"]


@dataclass(frozen=True)
class Problem:
    """What a process needs to do one resample.

    Attributes
    ----------
    kind : {"nonparametric", "parametric"}
    recipe, options, search
        How the fit is done again, and whether targets are searched again.
    given, fitted : Network
        Before the fit, and after it.
    rows : MemoryBlocks
    labels : ndarray of int, shape (n_labels, n_variables), or None
    targets : ndarray of int, shape (n_targets, n_variables)
    weights : ndarray, shape (n_targets,)
    batch_weights : ndarray, shape (n_batches, n_targets)
    seed : int
    power : float
        For how much each row counts.
    tells_apart : bool
        Whether the fit gave rows from elsewhere a line of their own, and resamples may.
    """

    kind: Kind
    recipe: Recipe
    given: Network
    fitted: Network
    rows: MemoryBlocks
    labels: Ints | None
    targets: Ints
    weights: Floats
    batch_weights: Floats
    options: Options
    search: bool
    seed: int
    power: float = 1.0
    tells_apart: bool = False

    def fingerprint(self) -> str:
        """Tell this problem from all others.

        Returns
        -------
        str
        """
        digest = hashlib.sha256(__version__.encode())
        options = replace(self.options, constraints=None)
        recipe = replace(self.recipe, prior_knowledge=None)
        settings = (
            self.kind,
            options,
            recipe,
            self.rows.beside,
            self.search,
            self.seed,
            self.power,
            self.tells_apart,
        )
        digest.update(repr(settings).encode())
        whole = self.rows.whole
        arrays: list[NDArray[Any]] = [self.rows.beside.wide(whole), whole.counts]
        arrays += [self.targets, self.weights, self.batch_weights]
        known = self.options.constraints
        if known is not None:
            arrays += [known.allowed, known.excluded, known.forbidden, known.required]
            arrays += [known.known, known.known_weights]
            arrays += [] if known.candidates is None else [known.candidates]
        for network in (self.given, self.fitted):
            if isinstance(network, MechanismNetwork):
                digest.update(format_mechanism_network(network).encode())
                control = network.control
                arrays += [] if control is None else [control.values, control.weights]
                for one in network.labelled:
                    arrays += [one.rows.values, one.rows.weights, one.entries]
            else:
                arrays += network.tables
        for array in arrays:
            digest.update(repr(array.shape).encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()
