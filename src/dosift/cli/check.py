"""``dosift check``: what a network, a mixture and rows allow to be known."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dosift.cli.inputs import Format, Inputs
from dosift.cli.options import LISTED, Json, Quiet, Seed, Threads, print_json, set_up, some
from dosift.errors import InputError
from dosift.utils.progress import ProgressReporter

if TYPE_CHECKING:
    from rich.console import Console

    from dosift.cli.check_numbers import NumberFindings
    from dosift.cli.check_rows import CheckedRows
    from dosift.identifiability.evidence import Evidence
    from dosift.identifiability.identification import Identification, Interval
    from dosift.identifiability.units import UnitIdentification
    from dosift.identifiability.zeros import Positivity
    from dosift.model import Mixture, Network, Target


def check(
    network: Annotated[Path, typer.Argument(help="A network (BIF, XMLBIF; JSON of numbers).")],
    rows: Annotated[
        Path | None,
        typer.Argument(help="Rows, for the intervention rates; - is standard input."),
    ] = None,
    mixture: Annotated[
        Path | None, typer.Option(help="Targets and weights (mixture.json).")
    ] = None,
    max_size: Annotated[
        int | None, typer.Option(help="Largest intervention that competing mixtures have.", min=1)
    ] = None,
    units: Annotated[
        bool,
        typer.Option("--units", help="What units of several rows with one intervention add."),
    ] = False,
    unit: Annotated[
        str | None,
        typer.Option(
            help="Column of the rows that holds the unit of each; with --units.", metavar="COLUMN"
        ),
    ] = None,
    format: Format = None,
    seed: Seed = 0,
    threads: Threads = 2,
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Tell what can be identified: positivity, exclusion, intervals of the weights, a witness.

    Network alone:    dosift check network.bif

    With a mixture:   dosift check network.bif --mixture result/mixture.json

    With rows:        dosift check network.bif rows.csv

    Units:            dosift check network.bif --mixture result/mixture.json --units

    Of a network of numbers it tells which changes cannot be told apart, and why.

    Nothing here is random; --seed is taken so that all commands take it.
    """
    set_up(quiet, threads)
    if max_size is not None and mixture is None:
        raise InputError("--max-size goes with --mixture FILE")
    if unit is not None and rows is None:
        raise InputError("--unit is a column of the rows; give them, or --units without rows")
    if _is_of_numbers(network):
        if units or unit is not None:
            raise InputError(
                "--units goes with networks of states: of numbers, one row a unit identifies as "
                "much as several; leave it out"
            )
        found: NumberFindings | _Findings = _of_numbers(network, rows, mixture, max_size)
    else:
        with Inputs(format) as pipes:
            source = None if rows is None else pipes.rows(rows)
            found = _Findings(network, mixture, source, max_size, units, unit, quiet or json)
    if json:
        print_json(found.to_dict())
    else:
        found.show()
    return 0


def _is_of_numbers(path: Path) -> bool:
    return path.name.lower().endswith((".json", ".json.gz"))


def _of_numbers(
    path: Path, rows: Path | None, mixture: Path | None, max_size: int | None
) -> NumberFindings:
    """Check a network of numbers, to which rates and largest sizes say nothing."""
    from dosift.cli.check_numbers import NumberFindings

    if rows is not None:
        raise InputError(
            "rows tell rates of do's on states, and this is a network of numbers; leave the rows "
            "out, or fit them: dosift fit NETWORK ROWS -o result"
        )
    if max_size is not None:
        raise InputError("--max-size goes with networks of states: no size is left open here")
    return NumberFindings.of(path, mixture)


class _Findings:
    """All that is found out, computed once, for the screen and for JSON."""

    def __init__(
        self,
        network_path: Path,
        mixture_path: Path | None,
        rows_path: Path | None,
        max_size: int | None,
        units: bool,
        unit: str | None,
        quiet: bool,
    ) -> None:
        from dosift.cli.check_rows import CheckedRows
        from dosift.identifiability import identified, positivity
        from dosift.io import read_network

        with ProgressReporter(quiet) as tell:
            tell("reading", 0, None)
            self.path = network_path
            self.network: Network = read_network(network_path)
            self.mixture = _read_mixture(self.network, mixture_path)
            rows = None if rows_path is None else CheckedRows.read(self.network, rows_path, unit)
            tell("checking", 0, None)
            self.positivity: Positivity = positivity(self.network)
            self.identification: Identification | None = None
            if self.mixture is not None:
                self.identification = identified(self.network, self.mixture, max_size=max_size)
            self.units: UnitIdentification | None = None
            if units or unit is not None:
                from dosift.identifiability.units import units_identified

                self.units = units_identified(self.network, self.mixture)
            self.evidence: Evidence | None = None
            if rows is not None:
                from dosift.identifiability.evidence import row_evidence

                self.evidence = row_evidence(self.network, rows.distinct, self.mixture)
            self.given: CheckedRows | None = rows

    def to_dict(self) -> dict[str, Any]:
        from dosift.identifiability import verdict

        identification = self.identification
        return {
            "network": {
                "path": str(self.path),
                "n_variables": self.network.n_variables,
                "n_edges": len(self.network.edges),
            },
            "positivity": self.positivity.to_dict(),
            "exclusion": None
            if identification is None
            else identification.conditions.exclusion.to_dict(),
            "verdict": None if self.mixture is None else verdict(self.network, self.mixture),
            "identification": None if identification is None else identification.to_dict(),
            "units": None
            if self.units is None
            else {
                **self.units.to_dict(),
                "given": None if self.given is None else self.given.units_to_dict(),
            },
            "rows": None if self.evidence is None else self.evidence.to_dict(),
        }

    def show(self) -> None:
        from rich.console import Console

        console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
        n = self.network.n_variables
        console.print(f"Network     {self.path}: {n} variables, {len(self.network.edges)} edges")
        _show_positivity(console, self.positivity)
        if self.identification is not None:
            _show_identification(console, self.identification)
        else:
            _show_promise(console, self.positivity)
        if self.units is not None:
            from dosift.cli.check_units import show_units

            show_units(console, self.units)
        if self.evidence is not None and self.given is not None:
            self.given.show(console, self.evidence)


def _read_mixture(network: Network, path: Path | None) -> Mixture | None:
    from dosift.model import Mixture
    from dosift.model.mixture import without_other

    if path is None:
        return None
    # Of rows from elsewhere nothing is to be identified.
    mixture = without_other(Mixture.read(path))
    try:
        mixture.to_codes(network)
    except InputError as error:
        raise InputError(error.message, path=path) from None
    return mixture


def _show_positivity(console: Console, found: Positivity) -> None:
    if found.holds:
        console.print(f"Positivity  holds; the smallest entry of a table is {found.smallest:.3g}")
        return
    names = [v.variable for v in found.variables]
    console.print(
        f"Positivity  does not hold: {found.n_zeros:,} of {found.n_entries:,} table entries are "
        f"zero, in {len(names)} variable(s): {some(names)}"
    )
    deterministic = sum(v.n_deterministic for v in found.variables)
    if deterministic:
        console.print(
            f"            under {deterministic:,} parent configuration(s) a single state is "
            "possible: setting the variable to it there changes nothing"
        )
    console.print("            zeros can matter only for variables that interventions set")


def _show_promise(console: Console, found: Positivity) -> None:
    """Say what would be identified, where no mixture is given."""
    possible = "" if found.holds else "is possible under all parent configurations and that "
    console.print(
        "Identified  every mixture that leaves, of each variable that it sets, a state that "
        f"{possible}no intervention sets it to"
    )
    unsafe = [v.variable for v in found.variables if not v.always_possible]
    if unsafe:
        console.print(
            f"            {len(unsafe)} variable(s) have no such state ({some(unsafe)}): if "
            "interventions set them, it depends on the mixture"
        )
    console.print("            give --mixture FILE to check a certain one")


def _show_identification(console: Console, found: Identification) -> None:
    exclusion = found.conditions.exclusion
    if exclusion.holds:
        console.print(
            f"Exclusion   holds: no variable is set to all of its states "
            f"({len(exclusion.variables)} are set at all)"
        )
    else:
        console.print(
            f"Exclusion   violated: set to every one of their states: "
            f"{some(list(exclusion.violated))}"
        )
    by = f" (by {found.by})" if found.by else ""
    console.print(f"Identified  {_ANSWER[found.status]}{by}. {found.meaning}")
    for reason in found.reasons:
        console.print(f"            {reason}")
    if (
        found.status == "identified"
        and found.by == "theorem"
        and found.conditions.critical.margin < 1
    ):
        console.print(
            f"            least probability of a state left over: "
            f"{found.conditions.critical.margin:.3g} (the smaller, the more rows are needed)"
        )
    _show_ranges(console, found)
    _show_witness(console, found)


_ANSWER = {
    "unique": "yes",
    "identified": "yes",
    "not identified": "no",
    "undecided": "undecided",
}


def _show_ranges(console: Console, found: Identification) -> None:
    from rich.table import Table

    table = Table(title="Weights that give the same distribution", title_justify="left")
    table.add_column("intervention", overflow="fold")
    table.add_column("weight", justify="right", no_wrap=True)
    table.add_column("fewest variables set", justify="right", no_wrap=True)
    size = "any mixture" if found.max_size is None else f"sizes up to {found.max_size}"
    table.add_column(size, justify="right", no_wrap=True)
    for row in found.ranges:
        table.add_row(
            str(row.target), f"{row.weight:.3f}", _interval(row.parsimonious), _interval(row.any)
        )
    console.print()
    console.print(table, soft_wrap=False)
    console.print(
        "fewest variables set: among the mixtures that set the fewest variables on average, made "
        f"of {found.scope}"
    )
    limit = "" if found.max_size is None else f" of at most {found.max_size} variables"
    console.print(
        f"{size}: among all mixtures of {found.any_scope}{limit}"
        + ("" if found.max_size else "; down to 0 where larger interventions can stand in")
    )
    if found.n_possible is not None:
        console.print(f"{found.n_possible:,} of these could have weight in some such mixture")


def _interval(interval: Interval) -> str:
    low, high = ("?" if end is None else f"{end:.3f}" for end in interval)
    return low if low == high else f"{low} - {high}"


def _show_witness(console: Console, found: Identification) -> None:
    given = {row.target: row.weight for row in found.ranges if row.weight > 0}
    best, other = found.parsimonious, found.witness
    is_new = found.status == "not identified" and best is not None and set(best) != set(given)
    if best is not None and is_new:
        _show_mixture(console, "This has the same distribution and sets fewer variables:", best, {})
    if other is None or (best is not None and is_new and set(other.mixture) == set(best)):
        return
    details = [f"differs in {other.distance:.0%} of the weight"]
    if found.max_size is not None:
        details.append(f"sizes up to {found.max_size}")
    if other.error is not None:
        details.append(f"probabilities agree to {max(other.error, 1e-16):.0e}")
    title = f"Another mixture with the same distribution ({', '.join(details)}):"
    _show_mixture(console, title, other.mixture, given)


def _show_mixture(
    console: Console, title: str, mixture: Mixture, given: dict[Target, float]
) -> None:
    """List what differs from the mixture given."""
    changed = {t: w for t, w in mixture.items() if abs(w - given.get(t, 0.0)) > 5e-5}
    console.print()
    console.print(title)
    for target, weight in list(changed.items())[:LISTED]:
        console.print(f"  {weight:.4f}  {target}")
    if len(changed) > LISTED:
        console.print(f"  ... and {len(changed) - LISTED} more")
    gone = [t for t in given if t not in mixture]
    if gone and len(gone) < len(given):
        console.print(f"  instead of {some([str(t) for t in gone])}")
    if len(changed) < len(mixture):
        console.print(f"  with {len(mixture) - len(changed)} component(s) as they are")
