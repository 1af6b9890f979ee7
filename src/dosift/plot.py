"""Pictures of a fitted mixture, under the name by which users know them."""

from dosift.results.plot import certainty, components, fit_check, graph, rates, screen

__all__ = ["certainty", "components", "fit_check", "graph", "rates", "screen"]
