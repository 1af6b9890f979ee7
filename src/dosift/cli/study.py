"""``dosift study``: the simulation study of the paper, and ours, as tables and figures."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from dosift.cli.estimates import Forecast, duration
from dosift.cli.options import Json, Quiet, Seed, one_of, print_json, set_up
from dosift.errors import InputError, MissingDependencyError
from dosift.utils.atomic_write import write_bytes
from dosift.utils.progress import ProgressReporter

if TYPE_CHECKING:
    from dosift.study import StudySettings
    from dosift.study.summary import Summary

#: The study of the paper, and the studies that each option goes with.
_STATES = "states"
_BOTH = (_STATES, "units")
_GOES_WITH = {
    **dict.fromkeys(("preset", "networks"), (_STATES,)),
    **dict.fromkeys(("graphs", "methods", "tables", "max-size"), _BOTH),
    **dict.fromkeys(("nodes", "changes", "graph"), ("continuous",)),
    **dict.fromkeys(("n-units", "violations", "told"), ("units",)),
}
#: Where there is no bar, a line is printed at most so often (seconds).
_LINE_EVERY = 30.0


def study(
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder of the study; new, or one to go on in.")
    ],
    preset: Annotated[
        str | None,
        typer.Option(
            help="Settings to start from: small (the default), paper, supplement or real.",
            autocompletion=one_of("small", "paper", "supplement", "real"),
        ),
    ] = None,
    variables: Annotated[
        str | None, typer.Option(metavar="4,8,..", help="Variables of the random networks.")
    ] = None,
    rows: Annotated[
        str | None,
        typer.Option(
            metavar="256,4096,..", help="Mixture rows, and control rows; --units: of a unit."
        ),
    ] = None,
    problems: Annotated[
        int | None, typer.Option(help="Problems for each network size or network.", min=1)
    ] = None,
    graphs: Annotated[
        str | None, typer.Option(metavar="A,B", help="scale-free, erdos-renyi, or none.")
    ] = None,
    methods: Annotated[
        str | None, typer.Option(metavar="A,B,..", help="Methods, as of 'dosift fit'.")
    ] = None,
    networks: Annotated[
        str | None,
        typer.Option(
            metavar="A,B,..",
            help="cancer, earthquake, survey, sachs, child, alarm, hepar2 (they come with pgmpy).",
        ),
    ] = None,
    tables: Annotated[
        str | None, typer.Option(metavar="A,B", help="known, learned (from as many rows).")
    ] = None,
    max_size: Annotated[
        int | None, typer.Option(help="Largest number of variables in one intervention.", min=1)
    ] = None,
    continuous: Annotated[
        bool, typer.Option("--continuous", help="The study of measurements instead (2024).")
    ] = False,
    nodes: Annotated[
        str | None, typer.Option(metavar="A,B", help="--continuous: hit all nodes, or half.")
    ] = None,
    changes: Annotated[
        str | None, typer.Option(metavar="A,B,..", help="--continuous: do, hard, soft.")
    ] = None,
    graph: Annotated[
        str | None, typer.Option(metavar="A,B", help="--continuous: graph given, or learned.")
    ] = None,
    units: Annotated[
        bool, typer.Option("--units", help="The study of units of several rows instead.")
    ] = False,
    n_units: Annotated[
        str | None, typer.Option(metavar="1024,..", help="--units: numbers of units.")
    ] = None,
    violations: Annotated[
        str | None, typer.Option(metavar="A,B", help="--units: how exclusion is: some, root.")
    ] = None,
    told: Annotated[
        str | None,
        typer.Option(metavar="A,B", help="--units: told the units, or rows as independent."),
    ] = None,
    processes: Annotated[int, typer.Option(help="Processes that solve problems.", min=1)] = 1,
    seed: Seed = 0,
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Measure recall, precision and weight errors on random problems, as the paper does.

    A taste:        dosift study -o small --processes 2

    Figure 1:       dosift study -o paper --preset paper --processes 8

    Real networks:  dosift study -o real --preset real

    Measurements:   dosift study -o measured --continuous

    Units:          dosift study -o units --units

    A study that was stopped goes on when the same command is run again.
    """
    set_up(quiet)
    kind = _kind_of(continuous, units)
    _check_kind(
        kind,
        {
            "preset": preset, "networks": networks, "graphs": graphs, "methods": methods,
            "tables": tables, "max-size": max_size, "nodes": nodes, "changes": changes,
            "graph": graph, "n-units": n_units, "violations": violations, "told": told,
        },
    )  # fmt: skip
    shared = {
        "variables": _numbers("variables", variables), "rows": _numbers("rows", rows),
        "problems": problems, "seed": seed,
    }  # fmt: skip
    words = {name: _words(text) for name, text in (
        ("graphs", graphs), ("methods", methods), ("networks", networks), ("tables", tables),
        ("nodes", nodes), ("changes", changes), ("told", told), ("violations", violations),
    )}  # fmt: skip
    given = {**shared, **words, "max_size": max_size, "units": _numbers("n-units", n_units)}
    if continuous:
        given["graphs"] = _words(graph)
    given = {name: value for name, value in given.items() if value is not None}
    parts = _parts_of(kind, preset or "small", given)
    round_size = -(-len(list(parts.settings.tasks())) // parts.settings.problems)
    with _Progress(quiet or json, round_size) as tell, _interrupted(output, tell):
        records = parts.run(output, processes=processes, progress=tell)
    if not (quiet or json):
        _tell_refusals(records)
    lines, seconds = parts.summary.lines(records), parts.summary.seconds(records)
    _write(kind, lines, seconds, output, quiet or json)
    if json:
        content = {"settings": parts.settings.to_dict(), "results": lines, "seconds": seconds}
        print_json({**content, "note": parts.summary.note} if parts.summary.note else content)
    elif not quiet:
        typer.echo(f"{parts.summary.markdown(lines, seconds)}\n\nAll columns: {output}")
    return 0


def _kind_of(continuous: bool, units: bool) -> str:
    if continuous and units:
        raise InputError("--continuous and --units are two studies; give one of them")
    return "continuous" if continuous else "units" if units else _STATES


def _check_kind(kind: str, options: dict[str, Any]) -> None:
    """Refuse options of another study."""
    for name, value in options.items():
        goes_with = _GOES_WITH[name]
        if value is not None and kind not in goes_with:
            if _STATES in goes_with:
                raise InputError(f"--{name} does not go with --{kind}")
            raise InputError(f"--{name} goes with --{goes_with[0]}")


class _Parts(NamedTuple):
    """Settings, what solves the problems and keeps the records, and what is said of them."""

    settings: Any
    run: Callable[..., list[dict[str, Any]]]
    summary: Summary


def _parts_of(kind: str, preset: str, given: dict[str, Any]) -> _Parts:
    """Return what a kind of study is made of."""
    from dosift.study.runner import run_study, run_tasks

    if kind == "continuous":
        from dosift.cli.study_continuous import fit_problem
        from dosift.study.continuous import CONTINUOUS, ContinuousSettings, solve_continuous

        measured = ContinuousSettings(**given)
        work = partial(solve_continuous, fit_problem, measured.seed)
        return _Parts(measured, partial(run_tasks, measured, work), CONTINUOUS)
    if kind == "units":
        from dosift.study.units import UNITS, UnitSettings, solve_units

        of_units = UnitSettings(**given)
        solve = partial(solve_units, of_units.seed, of_units.max_size)
        return _Parts(of_units, partial(run_tasks, of_units, solve), UNITS)
    from dosift.study.summary import STATES

    settings = _settings(preset, given)
    return _Parts(settings, partial(run_study, settings), STATES)


@contextmanager
def _interrupted(output: Path, tell: _Progress) -> Iterator[None]:
    """Say what is kept when a study is interrupted."""
    from dosift.study.runner import count_solved

    try:
        yield
    except KeyboardInterrupt:
        tell.stop()
        print(
            f"{count_solved(output)} of {tell.total} problems are solved and kept in {output}; "
            "the same command goes on from there",
            file=sys.stderr,
        )
        raise


def _settings(preset: str, given: dict[str, Any]) -> StudySettings:
    """Start from the preset and put what was given in its place."""
    from dosift.study import PRESETS, StudySettings

    if preset not in PRESETS:
        raise InputError(f"preset: {preset!r} is unknown; choose of {', '.join(PRESETS)}")
    wanted: dict[str, Any] = {**PRESETS[preset]}
    if given.get("networks") and "variables" not in given and "graphs" not in given:
        wanted["graphs"] = ()  # named networks were asked for, and no random ones
    return StudySettings(**{**wanted, **given})


def _words(text: str | None) -> tuple[str, ...] | None:
    if text is None:
        return None
    if text.strip() in {"", "none"}:
        return ()
    return tuple(word.strip() for word in text.split(","))


def _numbers(name: str, text: str | None) -> tuple[int, ...] | None:
    words = _words(text)
    if words is None:
        return None
    try:
        return tuple(map(int, words))
    except ValueError:
        raise InputError(f"--{name} is {text!r}; give whole numbers with commas between") from None


def _write(
    kind: str,
    lines: list[dict[str, Any]],
    seconds: list[dict[str, Any]],
    folder: Path,
    quiet: bool,
) -> None:
    """Write tables and, if matplotlib is there, the paper's figures."""
    from dosift.study.figures import draw_figures
    from dosift.study.summary import csv_text

    write_bytes(folder / "results.csv", csv_text(lines).encode())
    write_bytes(folder / "seconds.csv", csv_text(seconds).encode())
    if kind != _STATES:
        return
    try:
        draw_figures(lines, folder)
    except MissingDependencyError as error:
        if not quiet:
            print(f"note: no figures: {error}", file=sys.stderr)


def _tell_refusals(records: list[dict[str, Any]]) -> None:
    """Say for each method that gave no answer how often, and why the first time."""
    reasons: dict[str, list[str]] = {}
    for record in records:
        if record["refused"] is not None:
            # The study of measurements knows one method.
            reasons.setdefault(record.get("method", "dosift"), []).append(record["refused"])
    for method, told in reasons.items():
        plural = "s" if len(told) > 1 else ""
        text = f"note: {method} refused {len(told)} problem{plural}, first: {told[0]}"
        print(text, file=sys.stderr)


class _Progress:
    """Tells how far the study is: the shared bar on a terminal, lines with an estimate elsewhere.

    Parameters
    ----------
    quiet : bool
        Whether to say nothing.
    round_size : int, default=1
        Problems until every setting has had one.
    """

    def __init__(self, quiet: bool, round_size: int = 1) -> None:
        self._bar = ProgressReporter(quiet)
        self._forecast = Forecast(self._bar, round_size=round_size)
        self._lines = not quiet and not sys.stderr.isatty()
        self._last = time.monotonic()
        self._is_first = True
        self.total = 0

    def __enter__(self) -> _Progress:
        self._bar.__enter__()
        return self

    def stop(self) -> None:
        """Take the bar away."""
        self._bar.__exit__(None, None, None)

    def __exit__(self, *_: object) -> None:
        self.stop()

    def __call__(self, stage: str, done: int, total: int | None) -> None:
        self.total = total or 0
        self._forecast(stage, done, total)
        if self._is_first and done and self._lines:
            print(f"{done} of {total} problems were solved before", file=sys.stderr, flush=True)
        self._is_first = False
        now = time.monotonic()
        left = self._forecast.left(stage, done, self.total)
        if self._lines and now - self._last >= _LINE_EVERY and left is not None:
            text = f"{done} of {total} problems, about {duration(left)} left"
            print(text, file=sys.stderr, flush=True)
            self._last = now
