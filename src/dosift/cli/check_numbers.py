"""What ``dosift check`` says of a network of numbers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from dosift.cli.options import LISTED, some
from dosift.errors import InputError
from dosift.identifiability.numbers import NumberIdentification, numbers_identified
from dosift.io import read_network
from dosift.model import Mixture
from dosift.model.mechanism_network import MechanismNetwork
from dosift.model.mixture import without_other

#: Nats a row below which kinds of change are called hard to tell apart.
_HARD_NATS = 0.05
_ANSWER = {"identified": "yes", "not identified": "no", "not covered": "not known"}
#: Indent of lines that go on.
_ON = " " * 12


@dataclass(frozen=True)
class NumberFindings:
    """All that is found out, for the screen and for JSON.

    Attributes
    ----------
    path : Path
    network : MechanismNetwork
    mixture : Mixture or None
    found : NumberIdentification
    """

    path: Path
    network: MechanismNetwork
    mixture: Mixture | None
    found: NumberIdentification

    @classmethod
    def of(cls, path: Path, mixture_path: Path | None) -> NumberFindings:
        """Read the files and check them.

        Parameters
        ----------
        path : Path
            The network.
        mixture_path : Path or None

        Returns
        -------
        NumberFindings

        Raises
        ------
        InputError
            If a file cannot be read, or the mixture is of another network.
        """
        network = read_network(path)
        assert isinstance(network, MechanismNetwork)
        # Of rows from elsewhere nothing is to be identified.
        mixture = None if mixture_path is None else without_other(Mixture.read(mixture_path))
        try:
            found = numbers_identified(network, mixture)
        except InputError as error:
            raise InputError(error.message, path=mixture_path) from None
        return cls(path, network, mixture, found)

    def to_dict(self) -> dict[str, Any]:
        """Return it in types that JSON has."""
        return {
            "network": {
                "path": str(self.path),
                "n_variables": self.network.n_variables,
                "n_edges": len(self.network.edges),
            },
            "numbers": self.found.to_dict(),
        }

    def show(self) -> None:
        """Print it."""
        console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
        n, found = self.network.n_variables, self.found
        console.print(f"Network     {self.path}: {n} variables, {len(self.network.edges)} edges")
        console.print(f"Identified  {_ANSWER[found.status]}. {found.meaning}")
        for reason in found.reasons[:LISTED]:
            console.print(f"{_ON}{reason}")
        _more(console, len(found.reasons))
        self._show_variables(console)
        if self.mixture is None:
            console.print(f"{_ON}give --mixture FILE to check a certain one")
            return
        self._show_changes(console)
        self._show_pairs(console)
        self._show_beyond(console)
        self._show_rows(console)

    def _show_variables(self, console: Console) -> None:
        found = self.found.variables
        roots = [one.variable for one in found if one.alike and one.why == "it has no parents"]
        others = [one.variable for one in found if one.alike and one.variable not in roots]
        faint = [one.variable for one in found if not one.alike and one.nats < _HARD_NATS]
        exact = [one.variable for one in found if one.is_exact]
        lines = [
            (roots, "a value that is set, a shift and a gain are the same, as no parents vary"),
            (others, "the same, as parents do nothing to them"),
            (faint, f"parents tell them apart by less than {_HARD_NATS} nats a row"),
        ]
        label = "Alike       "
        for names, words in lines:
            if names:
                console.print(f"{label}{words}: {some(names)}")
                label = _ON
        if exact:
            console.print(
                "Exact       follow from their parents or never varied, so that any other value "
                f"is a change of them: {some(exact)}"
            )

    def _show_changes(self, console: Console) -> None:
        unknown = [one for one in self.found.changes if one.rows is None]
        slow = [one for one in self.found.changes if one.rows is not None]
        label = "Kinds       "
        for one in unknown[:LISTED]:
            console.print(
                f"{label}{one.target}: whether {one.variable!r} was set or moved cannot be told, "
                "as its parents do not vary there"
            )
            label = _ON
        _more(console, len(unknown))
        for one in sorted(slow, key=lambda change: -(change.rows or 0))[:LISTED]:
            console.print(
                f"{label}{one.target}: whether {one.variable!r} was set or moved takes about "
                f"{one.rows:,} rows ({one.nats:.2g} nats a row of the component)"
            )
            label = _ON
        _more(console, len(slow))

    def _show_pairs(self, console: Console) -> None:
        label = "Overlap     "
        for one in self.found.pairs[:LISTED]:
            if one.are_same:
                words = "have the same distribution: only the sum of their weights is known"
            else:
                words = (
                    f"{one.overlap:.2g} of the rows are put down to the wrong one "
                    f"({one.nats:.2g} nats a row)"
                )
            console.print(f"{label}{one.one} and {one.other}: {words}")
            label = _ON
        _more(console, len(self.found.pairs))

    def _show_beyond(self, console: Console) -> None:
        label = "Range       "
        for one in self.found.beyond[:LISTED]:
            known = "it is taken to go on"
            if one.widened is not None:
                known = f"control rows leave its deviation {one.widened:.2g} times as wide there"
            console.print(
                f"{label}{one.target}: {one.parent!r} is {one.away:.2g} standard deviations away, "
                f"and what it does to {one.variable!r} was not seen there; {known}"
            )
            label = _ON
        _more(console, len(self.found.beyond))

    def _show_rows(self, console: Console) -> None:
        label = "Rows        "
        for target, rows in sorted(self.found.needed, key=lambda one: -(one[1] or float("inf"))):
            words = "no number of rows is enough"
            if rows is not None:
                words = f"the score keeps it from about {rows:,} rows on"
            console.print(f"{label}{target}: {words}")
            label = _ON


def _more(console: Console, number: int) -> None:
    if number > LISTED:
        console.print(f"{_ON}and {number - LISTED} more (--json has all)")
