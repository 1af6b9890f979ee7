"""What may be believed of weights, components and totals."""

from dosift.inference.posterior import FALSE_SHARE, LEAST_PROBABILITY, Belief
from dosift.inference.weight_posterior import Summary, WeightPosterior, weight_posterior

__all__ = [
    "FALSE_SHARE",
    "LEAST_PROBABILITY",
    "Belief",
    "Summary",
    "WeightPosterior",
    "weight_posterior",
]
