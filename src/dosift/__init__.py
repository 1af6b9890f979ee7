"""dosift: disentangle mixtures of unknown causal interventions.

Rows from units that were hit by different unknown interventions go in; which interventions there
were, how much of each, and which unit got which come out.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from dosift._version import __version__

if TYPE_CHECKING:
    from dosift import identifiability as identifiability
    from dosift.data import read_rows
    from dosift.data.discretize import discretize
    from dosift.data.discretizer import Discretizer
    from dosift.errors import DosiftError, InputError
    from dosift.estimator import InterventionMixture
    from dosift.io import from_pgmpy, from_pyagrum, read_network, write_network
    from dosift.learning.learn import learn_network
    from dosift.methods import recover_mixture
    from dosift.methods.prior_knowledge import PriorKnowledge
    from dosift.model import Altered, Mixture, Network, Target, change, do, parse_target
    from dosift.model.evaluation import evaluate
    from dosift.model.random_problems import random_mixture, random_network
    from dosift.model.simulate import simulate
    from dosift.resampling.bootstrap import bootstrap
    from dosift.resampling.held_out import held_out
    from dosift.results.annotate import annotate
    from dosift.single_cell import fit_anndata

#: Where each public name lives; imported on first use, so that the command starts fast.
_HOMES = {
    "Altered": "dosift.model",
    "Discretizer": "dosift.data.discretizer",
    "DosiftError": "dosift.errors",
    "InputError": "dosift.errors",
    "InterventionMixture": "dosift.estimator",
    "Mixture": "dosift.model",
    "Network": "dosift.model",
    "PriorKnowledge": "dosift.methods.prior_knowledge",
    "Target": "dosift.model",
    "change": "dosift.model",
    "discretize": "dosift.data.discretize",
    "do": "dosift.model",
    "annotate": "dosift.results.annotate",
    "bootstrap": "dosift.resampling.bootstrap",
    "evaluate": "dosift.model.evaluation",
    "fit_anndata": "dosift.single_cell",
    "from_pgmpy": "dosift.io",
    "from_pyagrum": "dosift.io",
    "held_out": "dosift.resampling.held_out",
    "learn_network": "dosift.learning.learn",
    "parse_target": "dosift.model",
    "random_mixture": "dosift.model.random_problems",
    "random_network": "dosift.model.random_problems",
    "read_network": "dosift.io",
    "read_rows": "dosift.data",
    "recover_mixture": "dosift.methods",
    "simulate": "dosift.model.simulate",
    "write_network": "dosift.io",
}

#: Modules that are reached as attributes without being imported first.
_MODULES = {
    "identifiability": "dosift.identifiability",
    "plot": "dosift.plot",
    "structure": "dosift.structure",
}

__all__ = [
    "Altered",
    "Discretizer",
    "DosiftError",
    "InputError",
    "InterventionMixture",
    "Mixture",
    "Network",
    "PriorKnowledge",
    "Target",
    "__version__",
    "annotate",
    "bootstrap",
    "change",
    "discretize",
    "do",
    "evaluate",
    "fit_anndata",
    "from_pgmpy",
    "from_pyagrum",
    "held_out",
    "learn_network",
    "parse_target",
    "random_mixture",
    "random_network",
    "read_network",
    "read_rows",
    "recover_mixture",
    "simulate",
    "write_network",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(_MODULES[name])
    if name not in _HOMES:
        raise AttributeError(f"module 'dosift' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES, *_MODULES})
