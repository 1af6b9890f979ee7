"""What may be believed of weights, components and totals."""

from dosift.inference.posterior import FALSE_SHARE, LEAST_PROBABILITY, Posterior
from dosift.inference.weight_posterior import Summary, WeightPosterior, weight_posterior

__all__ = [
    "FALSE_SHARE",
    "LEAST_PROBABILITY",
    "Posterior",
    "Summary",
    "WeightPosterior",
    "weight_posterior",
]
