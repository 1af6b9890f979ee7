"""Pictures of a fitted mixture, under the name by which users know them."""

from dosift.results.plot import certainty, components, fit_check, rates, screen
from dosift.results.plot_densities import densities
from dosift.results.plot_graph import graph
from dosift.results.plot_timeline import timeline

__all__ = [
    "certainty",
    "components",
    "densities",
    "fit_check",
    "graph",
    "rates",
    "screen",
    "timeline",
]
