"""The words of the field: networks, targets, mixtures, and rows simulated from them."""

from dosift.model.mixture import WEIGHT_SUM_TOLERANCE, Mixture
from dosift.model.network import ControlCounts, Network, Variable
from dosift.model.target import Target, do, parse_target

__all__ = [
    "WEIGHT_SUM_TOLERANCE",
    "ControlCounts",
    "Mixture",
    "Network",
    "Target",
    "Variable",
    "do",
    "parse_target",
]
