"""Causal Bayesian networks: model, files, learning, adapters."""

from dosift.network.adapters import from_pgmpy, from_pyagrum, to_pgmpy
from dosift.network.files import read_network, write_network
from dosift.network.model import ControlCounts, Network, Variable

__all__ = [
    "ControlCounts",
    "Network",
    "Variable",
    "from_pgmpy",
    "from_pyagrum",
    "read_network",
    "to_pgmpy",
    "write_network",
]
