"""Causal Bayesian networks: model, files, learning, adapters."""

from dosift.network.files import read_network, write_network
from dosift.network.model import ControlCounts, Network, Variable

__all__ = ["ControlCounts", "Network", "Variable", "read_network", "write_network"]
