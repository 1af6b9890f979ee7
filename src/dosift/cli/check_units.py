"""What ``dosift check --units`` says: one row a unit beside several."""

from __future__ import annotations

from rich.console import Console

from dosift.identifiability.units import UnitIdentification

#: Indent of lines that go on.
_ON = " " * 12
#: How the verdict on one row reads.
_ONE_ROW = {
    None: "a mixture only if exclusion holds, and then as the one that sets the fewest variables",
    "unique": "the mixture, which is the only one at all",
    "identified": "the mixture, as the one that sets the fewest variables",
    "not guaranteed": "not this mixture, or not by the theorem: see above",
}
_SEVERAL = {"unique": "yes", "not identified": "no", "not known": "not known"}


def show_units(console: Console, found: UnitIdentification) -> None:
    """Print it."""
    which = "this mixture" if found.one_row else "every mixture"
    console.print(f"One row     a unit identifies {_ONE_ROW[found.one_row]}")
    console.print(f"Two rows    a unit identify {which}: {_SEVERAL[found.status]}. {found.meaning}")
    for one, other in found.same:
        console.print(f"{_ON}{one} and {other} have the same distribution")
    if found.status != "unique":
        some = found.n_deterministic or found.n_undecided
        places = "; ".join(_place(row) for row in found.deterministic)
        may = "" if found.n_deterministic else "may "
        console.print(
            f"{_ON}under {some:,} parent configuration(s) that {may}occur a variable has no "
            f"choice: {places}{' ...' if some > len(found.deterministic) else ''}"
        )
    else:
        console.print(
            f"{_ON}under the same conditions two rows differ in a variable with probability "
            f"{found.difference:.2g} at least (the smaller, the more units are needed)"
        )
    if found.ranks is not None:
        ranks = found.ranks
        console.print(
            f"{_ON}the laws of all {ranks.n_targets:,} targets span {ranks.one:,} dimensions with "
            f"one row a unit, {ranks.several:,} with two"
        )


def _place(row: object) -> str:
    assert isinstance(row, dict)
    given = ", ".join(f"{name}={state}" for name, state in row["parents"].items())
    return f"{row['variable']}={row['possible'][0]} given {given or 'no parents'}"
