"""Causal Bayesian networks: model, files, learning, adapters."""

from dosift.network.model import ControlCounts, Network, Variable

__all__ = ["ControlCounts", "Network", "Variable"]
