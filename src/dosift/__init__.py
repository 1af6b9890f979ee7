"""dosift: disentangle mixtures of unknown causal interventions."""

from dosift._version import __version__

__all__ = ["__version__"]
