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
    from dosift.annotation import annotate
    from dosift.cross_validation import held_out
    from dosift.discretization import discretize
    from dosift.discretizer import Discretizer
    from dosift.errors import DosiftError, InputError
    from dosift.estimator import InterventionMixture
    from dosift.evaluation import evaluate
    from dosift.interventions import Mixture, Target, do, parse_target
    from dosift.learning import learn_network
    from dosift.methods import recover_mixture
    from dosift.network import Network, from_pgmpy, from_pyagrum, read_network, write_network
    from dosift.prior_knowledge import PriorKnowledge
    from dosift.random_problems import random_mixture, random_network
    from dosift.resampling import bootstrap
    from dosift.rows import read_rows
    from dosift.simulation import simulate
    from dosift.single_cell import fit_anndata

#: Where each public name lives; imported on first use, so that the command starts fast.
_HOMES = {
    "Discretizer": "dosift.discretizer",
    "DosiftError": "dosift.errors",
    "InputError": "dosift.errors",
    "InterventionMixture": "dosift.estimator",
    "Mixture": "dosift.interventions",
    "Network": "dosift.network",
    "PriorKnowledge": "dosift.prior_knowledge",
    "Target": "dosift.interventions",
    "discretize": "dosift.discretization",
    "do": "dosift.interventions",
    "annotate": "dosift.annotation",
    "bootstrap": "dosift.resampling",
    "evaluate": "dosift.evaluation",
    "fit_anndata": "dosift.single_cell",
    "from_pgmpy": "dosift.network",
    "from_pyagrum": "dosift.network",
    "held_out": "dosift.cross_validation",
    "learn_network": "dosift.learning",
    "parse_target": "dosift.interventions",
    "random_mixture": "dosift.random_problems",
    "random_network": "dosift.random_problems",
    "read_network": "dosift.network",
    "read_rows": "dosift.rows",
    "recover_mixture": "dosift.methods",
    "simulate": "dosift.simulation",
    "write_network": "dosift.network",
}

#: Modules that are reached as attributes without being imported first.
_MODULES = frozenset({"identifiability", "plot", "structure"})

__all__ = [
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
        return importlib.import_module(f"dosift.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'dosift' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES, *_MODULES})
