"""The words of the field: networks, targets, mixtures, and rows simulated from them."""

from dosift.model.altered import Altered
from dosift.model.mixture import WEIGHT_SUM_TOLERANCE, Mixture
from dosift.model.network import ControlCounts, Network, Variable
from dosift.model.target import Target, change, do
from dosift.model.target_text import parse_target

__all__ = [
    "WEIGHT_SUM_TOLERANCE",
    "Altered",
    "ControlCounts",
    "Mixture",
    "Network",
    "Target",
    "Variable",
    "change",
    "do",
    "parse_target",
]
