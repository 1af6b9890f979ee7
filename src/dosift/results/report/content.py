"""What ``result.json`` holds, in the form that the page needs; nothing is computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from dosift.checks.verdict import FALLS, STANDS
from dosift.errors import InputError
from dosift.model import Altered, parse_target
from dosift.results.report.words import known, number

Line = Mapping[str, Any]


@dataclass(frozen=True)
class Content:
    """A result, with the positions of its variables.

    Attributes
    ----------
    result : mapping
        The content of ``result.json``.
    """

    result: Mapping[str, Any]

    @property
    def components(self) -> Sequence[Line]:
        """Lines of the table of components."""
        return list(self.result.get("components") or ())

    @property
    def hits(self) -> list[Line]:
        """Components that set something."""
        return [c for c in self.components if c["size"] > 0]

    @property
    def variables(self) -> Sequence[Line]:
        """Lines of the table of totals."""
        return list(self.result.get("variables") or ())

    @property
    def diagnostics(self) -> Line:
        """Numbers that say how far the fit can be trusted."""
        return dict(self.result.get("diagnostics") or {})

    @property
    def fit_check(self) -> Line:
        """Outcome of the fit check; empty if there was none."""
        return dict(self.diagnostics.get("fit_check") or {})

    @property
    def of(self) -> str:
        """What weights are shares of."""
        return "units" if self.result.get("units") else "rows"

    @cached_property
    def level(self) -> str:
        """Level of the intervals, as HTML."""
        level = known(self.result.get("level"))
        return f"{number(100 * (0.95 if level is None else level), '.4g')}&nbsp;%"

    @cached_property
    def reasons(self) -> list[str]:
        """Why the fit must not be trusted; never empty for a fit that is not trusted."""
        reasons = [str(reason) for reason in self.result.get("reasons") or ()]
        if not reasons and not self.result.get("trusted", True):
            reasons = ["The result says so and names no reason."]
        return reasons

    @property
    def verdict(self) -> Line:
        """What stands of the answer; by whether it is trusted where the result does not say."""
        known = dict(self.result.get("verdict") or {})
        value = STANDS if self.result.get("trusted", True) else FALLS
        return {"value": value, "next": None, **known}

    @cached_property
    def names(self) -> list[str]:
        """Names of the variables, in the order of the graph; elsewhere only positions are used."""
        graph = self.result.get("graph") or {}
        return list(dict.fromkeys([*graph, *(str(v["variable"]) for v in self.variables)]))

    @cached_property
    def positions(self) -> dict[str, int]:
        """Position of each variable by name."""
        return {name: i for i, name in enumerate(self.names)}

    @cached_property
    def parents(self) -> list[list[int]] | None:
        """Positions of the parents of each variable; None if the result has no graph."""
        graph = self.result.get("graph")
        if not graph:
            return None
        return [[self.positions[p] for p in graph.get(name, ())] for name in self.names]

    @property
    def graph_found(self) -> Line:
        """What rows say of the graph; empty without control rows."""
        return dict(self.result.get("graph_found") or {})

    @cached_property
    def found_edges(self) -> dict[tuple[int, int], Line]:
        """What rows say of each edge, by the positions of parent and child."""
        return {
            (self.positions[e["parent"]], self.positions[e["child"]]): e
            for e in self.graph_found.get("edges") or ()
            if {e["parent"], e["child"]} <= self.positions.keys()
        }

    @cached_property
    def asked_edges(self) -> dict[tuple[int, int], str]:
        """Edits that the rows ask for in a fixed graph, by the positions of the edge."""
        return {
            (self.positions[e["parent"]], self.positions[e["child"]]): str(e["kind"])
            for e in self.graph_found.get("asked") or ()
            if {e["parent"], e["child"]} <= self.positions.keys()
        }

    @cached_property
    def totals(self) -> dict[str, Line]:
        """The line of each variable's total, by name."""
        return {str(v["variable"]): v for v in self.variables if v["value"] in {"", None}}

    @property
    def has_one_pass_rates(self) -> bool:
        """Whether there are rates that need no search."""
        return any(known(v.get("screen_rate")) is not None for v in self.variables)

    @property
    def has_numbers(self) -> bool:
        """Whether variables are numbers, which can be changed and not only set."""
        return any(v.get("what") for v in self.variables)

    def sets(self, component: Line) -> list[tuple[int, str]]:
        """Return what a component does: positions of variables, and states or effects."""
        try:
            target = parse_target(component["target"])
        except InputError:
            return []
        return [
            (self.positions[name], entry.effect() if isinstance(entry, Altered) else str(entry))
            for name, entry in target.items()
            if name in self.positions
        ]

    @cached_property
    def set_variables(self) -> list[int]:
        """Positions of the variables that a component sets, by descending rate."""
        found = {i for component in self.hits for i, _ in self.sets(component)}
        rates = {i: known(self.totals.get(self.names[i], {}).get("rate")) or 0.0 for i in found}
        return sorted(found, key=lambda i: (-rates[i], i))
