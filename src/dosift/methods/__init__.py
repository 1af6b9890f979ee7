"""Methods of estimation: the search by likelihood, the paper's algorithms, and its baselines."""

from dosift.methods.options import DEFAULT_EPSILON, Options
from dosift.methods.oracle import recover_mixture
from dosift.methods.registry import METHODS, OPTIMISING, cause_of_misfit, estimate
from dosift.utils.progress import Progress

__all__ = [
    "DEFAULT_EPSILON",
    "METHODS",
    "OPTIMISING",
    "Options",
    "Progress",
    "cause_of_misfit",
    "estimate",
    "recover_mixture",
]
