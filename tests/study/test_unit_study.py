"""The study of units: its problems, its answers, its command."""

from __future__ import annotations

import json
import signal
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dosift.cli import main
from dosift.errors import InputError
from dosift.identifiability import exclusion
from dosift.study.runner import run_tasks
from dosift.study.units import NOTE, UNITS, UnitSettings, UnitTask, draw_units, solve_units


def command(arguments: list[str]) -> int:
    """Run the command in this process; its status."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["dosift", *arguments])
        patch.setattr(warnings, "showwarning", warnings.showwarning)
        handler = signal.getsignal(signal.SIGTERM)
        with pytest.raises(SystemExit) as exit_:
            main()
        signal.signal(signal.SIGTERM, handler)
    return int(exit_.value.code or 0)


TASK = UnitTask("scale-free", 4, "root", "known", 2000, 3, "units", "moments", 0)


@pytest.mark.parametrize("violation", ["some", "root"])
def test_exclusion_is_violated(violation: str) -> None:
    for k in range(20):
        problem = draw_units(0, replace(TASK, violation=violation, problem=k))
        found = exclusion(problem.network, problem.mixture)
        assert found.violated
        roots = [
            n for n, p in zip(problem.network.names, problem.network.parents, strict=True) if not p
        ]
        if violation == "root":
            assert set(roots) & set(found.violated)


def test_a_root_is_set_to_each_state_beside_being_left_alone() -> None:
    problem = draw_units(1, TASK)
    codes, weights = problem.mixture.to_codes(problem.network)
    assert weights.sum() == pytest.approx(1.0)
    listed = {tuple(row) for row in codes.tolist()}
    roots = [i for i, parents in enumerate(problem.network.parents) if not parents]

    def is_base(row: tuple[int, ...], i: int) -> bool:
        return all((*row[:i], a, *row[i + 1 :]) in listed for a in (-1, 0, 1, 2))

    assert any(is_base(row, i) for row in listed for i in roots if row[i] < 0)


def test_units_and_rows_are_the_first_of_more() -> None:
    problem = draw_units(0, TASK)
    few, many = problem.rows(50, 2), problem.rows(200, 5)
    np.testing.assert_array_equal(few, many[:50, :2])
    np.testing.assert_array_equal(few, draw_units(0, replace(TASK, n_rows=9)).rows(50, 2))


def test_rows_of_a_unit_share_their_target() -> None:
    problem = draw_units(0, TASK)
    rows = problem.rows(40_000, 2)
    targets, weights = problem.mixture.to_codes(problem.network)
    for i in range(4):
        agree = (rows[:, 0, i] == rows[:, 1, i]).mean()
        assert agree > weights[targets[:, i] >= 0].sum() - 0.01


def test_units_are_worth_what_is_said() -> None:
    scores = {}
    for told in ("units", "rows"):
        solved = [solve_units(0, None, replace(TASK, told=told, problem=k)) for k in range(6)]
        assert [record["refused"] for record in solved] == [None] * 6
        scores[told] = np.mean([record["tv"] for record in solved])
    assert scores["units"] < 0.08
    assert scores["rows"] > 3 * scores["units"]


def test_learned_tables_are_those_of_control_rows() -> None:
    record = solve_units(0, None, replace(TASK, tables="learned"))
    assert record["refused"] is None
    assert record["tv"] < 0.2


def test_one_row_a_unit_is_not_told() -> None:
    settings = UnitSettings(rows=(1, 2), problems=1, variables=(4,), units=(100,))
    told = {(task.n_rows, task.told) for task in settings.tasks()}
    assert told == {(1, "rows"), (2, "units"), (2, "rows")}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"rows": ()}, "rows is empty"),
        ({"told": ("unit",)}, "told: 'unit' is unknown"),
        ({"violations": ("none",)}, "violations: 'none' is unknown"),
        ({"units": (0,)}, "units: 0 is out of range"),
        ({"rows": (2, 2)}, "rows names something twice"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_settings_that_make_no_sense(given: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        UnitSettings(**given)  # type: ignore[arg-type]


def test_a_study_goes_on_and_is_summarised(tmp_path: Path) -> None:
    settings = UnitSettings(
        variables=(3,), units=(300,), rows=(1, 3), problems=2, methods=("moments",)
    )

    def work(task: UnitTask) -> dict[str, object]:
        return solve_units(0, None, task)

    records = run_tasks(settings, work, tmp_path / "s")
    again = run_tasks(settings, work, tmp_path / "s")
    assert again == records
    lines = UNITS.lines(records)
    assert len(lines) == 6
    assert all(line["problems"] + line["refused"] == 2 for line in lines)
    text = UNITS.markdown(lines, UNITS.seconds(records))
    assert text.startswith("| network | violation |")
    assert text.endswith(NOTE)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [
        "--units",
        "--variables",
        "3",
        "--n-units",
        "200",
        "--rows",
        "2",
        "--problems",
        "1",
    ]
    more = ["--methods", "moments", "--told", "units", "--violations", "root", "--json"]
    assert command(["study", "-o", str(tmp_path / "s"), *arguments, *more]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["settings"]["violations"] == ["root"]
    assert len(content["results"]) == 1
    assert content["note"] == NOTE
    assert (tmp_path / "s" / "results.csv").read_text().startswith("source,n_variables,violation")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--units", "--continuous"], "are two studies"),
        (["--units", "--preset", "paper"], "--preset does not go with --units"),
        (["--n-units", "100"], "--n-units goes with --units"),
        (["--told", "rows", "--continuous"], "--told goes with --units"),
    ],
)
def test_options_of_other_studies(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(["study", "-o", str(tmp_path / "s"), *arguments]) == 2
    assert message in capsys.readouterr().err
