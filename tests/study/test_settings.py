"""Settings of a study, and the tasks that follow from them."""

from __future__ import annotations

from typing import Any

import pytest

from dosift.errors import InputError
from dosift.study import PRESETS, StudySettings
from dosift.study.settings import Task


def test_tasks_go_through_all_cells_of_a_problem_before_the_next() -> None:
    settings = StudySettings(
        variables=(4, 5),
        rows=(10, 20),
        problems=2,
        graphs=("scale-free", "erdos-renyi"),
        networks=("cancer",),
        tables=("known", "learned"),
        methods=("moments",),
    )
    tasks = list(settings.tasks())
    assert len(tasks) == len(set(tasks)) == 2 * (2 * 2 + 1) * 2 * 2
    assert [task.problem for task in tasks] == [0] * 20 + [1] * 20
    assert {task.n_variables for task in tasks if task.source == "cancer"} == {0}


def test_a_record_tells_its_task() -> None:
    task = Task("scale-free", 4, "known", 10, "likelihood", 3)
    assert Task.of_record({**vars(task), "recall": 1.0}) == task
    with pytest.raises(KeyError):
        Task.of_record({"source": "scale-free"})


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_valid(name: str) -> None:
    settings = StudySettings(**PRESETS[name])
    assert next(settings.tasks()).problem == 0


def test_paper_preset_is_the_papers() -> None:
    settings = StudySettings(**PRESETS["paper"])
    assert settings.variables == (4, 8, 12)
    assert (min(settings.rows), max(settings.rows)) == (2**4, 2**20)
    assert settings.tables == ("learned",)
    assert settings.max_size is None


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"rows": ()}, "rows is empty"),
        ({"rows": (0,)}, "rows: 0 is out of range"),
        ({"rows": (10**9,)}, "out of range"),
        ({"variables": (4, 4)}, "variables names something twice: 4, 4"),
        ({"variables": ()}, "give random graphs"),
        ({"graphs": ()}, "give random graphs"),
        ({"graphs": ("star",)}, "'star' is unknown; choose of scale-free, erdos-renyi"),
        ({"methods": ("magic",)}, "'magic' is unknown; choose of likelihood"),
        ({"networks": ("asia",)}, "'asia' is unknown; choose of cancer"),
        ({"tables": ("guessed",)}, "'guessed' is unknown"),
        ({"problems": 0}, "problems: 0 is out of range"),
        ({"max_size": 0}, "max_size: 0 is out of range"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_wrong_settings_are_refused(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError) as caught:
        StudySettings(**wrong)
    assert words in str(caught.value)
