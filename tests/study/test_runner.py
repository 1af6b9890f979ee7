"""Studies that stop, go on, and are refused; the tables and figures at their end."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dosift.errors import InputError, MissingDependencyError
from dosift.study import StudySettings, run_study, summarise
from dosift.study import runner as runner_module
from dosift.study.figures import draw_figures
from dosift.study.published import FIGURE_1, published
from dosift.study.runner import PROBLEMS_NAME, SETTINGS_NAME
from dosift.study.settings import Task
from dosift.study.summary import STATES, csv_text

TINY = StudySettings(variables=(3, 4), rows=(50, 100), problems=2, methods=("moments",))

Record = dict[str, Any]


def without_seconds(records: list[Record]) -> list[Record]:
    return [{k: v for k, v in record.items() if k != "seconds"} for record in records]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> list[Record]:
    return run_study(TINY, tmp_path_factory.mktemp("study") / "whole")


def test_records_are_in_the_order_of_tasks(whole: list[Record]) -> None:
    assert [Task.of_record(record) for record in whole] == list(TINY.tasks())


def test_other_settings_see_the_same_problems(whole: list[Record], tmp_path: Path) -> None:
    fewer = StudySettings(variables=(4,), rows=(100,), problems=1, methods=("moments",))
    records = without_seconds(run_study(replace(fewer, tables=("learned", "known")), tmp_path))
    assert records[0] in without_seconds(whole)
    assert [record["tables"] for record in records] == ["learned", "known"]


class Stopped(BaseException):
    """Stands for whatever ends a run."""


def test_a_stopped_study_goes_on_where_it_was(
    whole: list[Record], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(stage: str, done: int, total: int | None) -> None:
        if done == 3:
            raise Stopped

    with pytest.raises(Stopped):
        run_study(TINY, tmp_path, progress=stop)
    path = tmp_path / PROBLEMS_NAME
    assert path.read_bytes().count(b"\n") == 3
    with path.open("ab") as file:  # a killed run may leave half a line
        file.write(b'{"source": "scale-fr')
    solved = []
    work = runner_module.solve

    def counted(seed: int, max_size: int | None, task: Task) -> Record:
        solved.append(task)
        return work(seed, max_size, task)

    monkeypatch.setattr(runner_module, "solve", counted)
    records = run_study(TINY, tmp_path)
    assert without_seconds(records) == without_seconds(whole)
    assert solved == list(TINY.tasks())[3:]
    solved.clear()
    assert run_study(TINY, tmp_path) == records
    assert not solved


@pytest.mark.long
def test_two_processes_give_the_same(whole: list[Record], tmp_path: Path) -> None:
    records = run_study(TINY, tmp_path / "two", processes=2)
    assert without_seconds(records) == without_seconds(whole)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"problems": 3}, "has problems 2, not 3"),
        ({"rows": (50,)}, "has rows 50,100, not 50"),
        ({"seed": 1}, "has seed 0, not 1"),
        ({"max_size": 2}, "has max_size None, not 2"),
        ({"networks": ("cancer",)}, "has networks none, not cancer"),
    ],
)
def test_other_settings_in_the_same_folder_are_refused(
    change: Record, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner_module, "network_path", Path)
    (tmp_path / SETTINGS_NAME).write_text(json.dumps(TINY.fingerprint()))
    before = sorted(tmp_path.iterdir())
    with pytest.raises(InputError) as caught:
        run_study(replace(TINY, **change), tmp_path)
    assert words in str(caught.value)
    assert sorted(tmp_path.iterdir()) == before


def test_another_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / SETTINGS_NAME).write_text(json.dumps({**TINY.fingerprint(), "dosift": "0.0"}))
    with pytest.raises(InputError, match=r"has dosift 0\.0, not"):
        run_study(TINY, tmp_path)


def test_foreign_folders_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(InputError, match="not empty and holds no study"):
        run_study(TINY, tmp_path)
    with pytest.raises(InputError, match="is a file"):
        run_study(TINY, tmp_path / "thesis.tex")
    with pytest.raises(InputError, match="cannot be made"):
        run_study(TINY, tmp_path / "thesis.tex" / "below")
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize("content", [b"not json", b"[1, 2]", b"\xff\xfe"])
def test_damaged_settings_are_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / SETTINGS_NAME).write_bytes(content)
    with pytest.raises(InputError, match="not the settings of a study"):
        run_study(TINY, tmp_path)


@pytest.mark.parametrize("line", [b"nonsense", b"[]", b"{}", b"\xff", b'{"source": 1}'])
def test_damaged_records_are_named_by_line(line: bytes, tmp_path: Path) -> None:
    (tmp_path / SETTINGS_NAME).write_text(json.dumps(TINY.fingerprint()))
    (tmp_path / PROBLEMS_NAME).write_bytes(line + b"\n")
    with pytest.raises(InputError, match="line 1: is not a record"):
        run_study(TINY, tmp_path)


def test_two_runs_in_one_folder_are_refused(tmp_path: Path) -> None:
    pytest.importorskip("fcntl")

    def again(stage: str, done: int, total: int | None) -> None:
        run_study(TINY, tmp_path)

    with pytest.raises(InputError, match="another run is at work"):
        run_study(TINY, tmp_path, progress=again)


# Tables and figures.


def record(problem: int, **scores: Any) -> Record:
    task = vars(Task("scale-free", 4, "learned", 256, "moments", problem))
    empty: Record = dict.fromkeys(
        ("recall", "precision", "tv", "rmse", "n_true", "n_found", "n_matched"), 0.0
    )
    spare = {"rmse_spurious": None, "rmse_missed": None, "seconds": 1.0, "refused": None}
    return {**task, **empty, **spare, **scores}


def test_means_are_over_the_problems_that_have_the_number() -> None:
    records = [
        record(0, recall=1.0, rmse_spurious=0.3, n_true=5, n_found=9, n_matched=5, seconds=1.0),
        record(1, recall=0.5, n_true=4, n_found=2, n_matched=2, seconds=3.0),
        {**vars(Task("scale-free", 4, "learned", 256, "moments", 2)), "refused": "too large"},
    ]
    (line,), (seconds,) = summarise(records), STATES.seconds(records)
    assert (line["problems"], line["refused"]) == (2, 1)
    assert (line["recall"], line["recall_se"]) == (0.75, 0.25)
    assert line["rmse_spurious"] == 0.3
    assert line["rmse_missed"] is None
    assert (line["n_spurious"], line["n_missed"]) == (2.0, 1.0)
    assert (line["published_recall"], line["published_rmse"]) == (0.66, 0.055)
    assert seconds["seconds_median"] == 2.0
    assert "n_missed" not in records[0]
    table = STATES.markdown([line], [seconds])
    assert "| scale-free 4 | learned | 256 | moments | 2 (1 refused) | 0.750 | 0.660 |" in table
    assert len({row.count("|") for row in table.splitlines()}) == 1
    assert "RMSE spurious" in table
    assert "RMSE missed" not in table  # there is none
    first, second = csv_text([line]).splitlines()
    named = dict(zip(first.split(","), second.split(","), strict=True))
    assert (named["recall"], named["rmse_missed"]) == ("0.750000", "")


def test_problems_that_all_were_refused() -> None:
    refused = {**vars(Task("alarm", 0, "known", 256, "em", 0)), "refused": "too large"}
    (line,), (seconds,) = summarise([refused]), STATES.seconds([refused])
    assert line["recall"] is None
    assert STATES.markdown([line], [seconds]).endswith(
        "| alarm | known | 256 | em | 0 (1 refused) |"
    )


def test_published_figures() -> None:
    assert all(len(curve) == 17 for m in FIGURE_1.values() for curve in m.values())
    assert published("rmse", "scale-free", 12, "learned", 2**20) == 0.022
    assert published("recall", "erdos-renyi", 4, "learned", 256) is None
    assert published("recall", "scale-free", 4, "known", 256) is None
    assert published("recall", "scale-free", 5, "learned", 256) is None


def lines_of(sources: list[tuple[str, int]], rows: tuple[int, ...]) -> list[Record]:
    return summarise(
        {**record(i, recall=0.5, rmse=0.1, rmse_missed=0.2), "source": s, "n_variables": n, **more}
        for s, n in sources
        for n_rows in rows
        for method in ("likelihood", "moments")
        for more in [{"n_rows": n_rows, "method": method}]
        for i in range(2)
    )


@pytest.mark.long
def test_figures(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    lines = lines_of([("scale-free", 4), ("erdos-renyi", 4), ("cancer", 0)], (256, 4096))
    paths = draw_figures(lines, tmp_path)
    names = ["study-scale-free-learned", "study-erdos-renyi-learned", "study-networks-learned"]
    assert [path.stem for path in paths] == names
    first = paths[0].read_text()
    assert re.search(r">published \(2021\)<", first)
    assert ">N = 4<" in first
    assert "published" not in paths[1].read_text()
    assert ">cancer<" in paths[2].read_text()
    draw_figures(lines, tmp_path)
    assert paths[0].read_text() == first


def test_many_sizes_are_the_axis(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    (path,) = draw_figures(
        lines_of([("scale-free", n) for n in range(4, 33, 4)], (2**20,)), tmp_path
    )
    text = path.read_text()
    assert ">1,048,576 rows<" in text
    assert ">variables<" in text
    assert ">published (2021)<" in text


def test_figures_without_matplotlib(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingDependencyError, match=r"dosift\[plot\]"):
        draw_figures([], tmp_path)
