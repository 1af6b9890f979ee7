"""What may be believed of weights, components and totals."""

from dosift.uncertainty.belief import FALSE_SHARE, LEAST_PROBABILITY, Belief, believe
from dosift.uncertainty.posterior import Summary, WeightPosterior, weight_posterior

__all__ = [
    "FALSE_SHARE",
    "LEAST_PROBABILITY",
    "Belief",
    "Summary",
    "WeightPosterior",
    "believe",
    "weight_posterior",
]
