"""Run a study over processes, keeping each solved problem on disk."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from dosift.errors import InputError
from dosift.study.problems import network_path, solve
from dosift.study.settings import Settings, StudySettings, TaskType
from dosift.study.tasks import Record
from dosift.utils.atomic_write import write_bytes
from dosift.utils.journal import open_journal
from dosift.utils.processes import in_processes

Progress = Callable[[str, int, "int | None"], None]

#: Names in a study's folder.
SETTINGS_NAME, PROBLEMS_NAME = "study.json", "problems.jsonl"


def run_study(
    settings: StudySettings,
    folder: str | Path,
    *,
    processes: int = 1,
    progress: Progress | None = None,
) -> list[Record]:
    """Solve all problems of a study that a folder does not have yet.

    Each solved problem is one line of ``problems.jsonl``, on the disk before the next is waited
    for. A study that was stopped or killed goes on when it is run again with the same settings,
    and ends with the same records. They do not depend on `processes` (but for ``seconds``).

    Parameters
    ----------
    settings : StudySettings
    folder : str or Path
        A new or empty folder, or one that holds a study with the same settings.
    processes : int, default=1
        Processes that solve problems; 1 means this one.
    progress : callable, optional
        Called with a stage's name, the problems done and the problems in all.

    Returns
    -------
    list of dict
        One record for each task, in the order of ``settings.tasks()``; see
        `dosift.study.problems.solve`.

    Raises
    ------
    InputError
        If the folder holds something else or a study with other settings, another run is at
        work in it, or a process dies.
    MissingDependencyError
        If named networks are wanted and pgmpy is not installed.
    """
    for name in settings.networks:
        network_path(name)
    work = partial(solve, settings.seed, settings.max_size)
    return run_tasks(settings, work, folder, processes=processes, progress=progress)


def run_tasks(
    settings: Settings[TaskType],
    work: Callable[[TaskType], Record],
    folder: str | Path,
    *,
    processes: int = 1,
    progress: Progress | None = None,
) -> list[Record]:
    """Solve all tasks of any study that a folder does not have yet.

    Parameters
    ----------
    settings : Settings
    work : callable
        Solves a task and returns its record, which holds the task's fields; what processes can be
        given.
    folder, processes, progress
        As for `run_study`.

    Returns
    -------
    list of dict
        One record for each task, in the order of ``settings.tasks()``.

    Raises
    ------
    InputError
        As `run_study`.
    """
    tell = progress or _silent
    wanted = list(settings.tasks())
    of_record = type(wanted[0]).of_record
    with _open_store(Path(folder), settings, of_record) as (done, keep):
        missing = [task for task in wanted if task not in done]
        tell("solving problems", len(wanted) - len(missing), len(wanted))
        for record in in_processes(work, missing, min(processes, len(missing))):
            keep(record)
            done[of_record(record)] = record
            tell("solving problems", len(done), len(wanted))
    return [done[task] for task in wanted]


def count_solved(folder: str | Path) -> int:
    """Count the problems of a study that are on the disk.

    Parameters
    ----------
    folder : str or Path

    Returns
    -------
    int
    """
    path = Path(folder) / PROBLEMS_NAME
    return path.read_bytes().count(b"\n") if path.is_file() else 0


def _silent(stage: str, done: int, total: int | None) -> None:
    return


# The folder.


@contextmanager
def _open_store(
    folder: Path, settings: Settings[TaskType], of_record: Callable[[Record], TaskType]
) -> Iterator[tuple[dict[TaskType, Record], Callable[[Record], None]]]:
    """Claim the folder; yield the records in it and a function that adds one for good."""
    _claim(folder, settings)
    path = folder / PROBLEMS_NAME
    with open_journal(path, "another run is at work on this study; wait for it") as (lines, keep):
        yield _tasks_of(lines, path, of_record), keep


def _claim(folder: Path, settings: Settings[TaskType]) -> None:
    """Write the settings into a new folder, or compare them with those of an old one."""
    path = folder / SETTINGS_NAME
    mine = settings.fingerprint()
    if path.is_file():
        _compare(path, mine)
        return
    if folder.exists() and not folder.is_dir():
        raise InputError("is a file; give a folder", path=folder)
    # What killed runs left of a file that they were writing has a name that begins with a dot.
    if folder.is_dir() and any(not p.name.startswith(".dosift-") for p in folder.iterdir()):
        raise InputError("is not empty and holds no study; give another folder", path=folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot be made: {error.strerror}", path=folder) from None
    write_bytes(path, json.dumps(mine, indent=1).encode() + b"\n")


def _compare(path: Path, mine: dict[str, Any]) -> None:
    try:
        theirs = json.loads(path.read_bytes())
    except (OSError, ValueError):
        theirs = None
    if not isinstance(theirs, dict):
        raise InputError("is not the settings of a study; give another folder", path=path)
    for name in {**mine, **theirs}:
        if theirs.get(name) != mine.get(name):
            raise InputError(
                f"the study in this folder has {name} {_shown(theirs.get(name))}, not "
                f"{_shown(mine.get(name))}; give another folder, or the old settings",
                path=path.parent,
            )


def _shown(value: Any) -> str:
    return ",".join(map(str, value)) or "none" if isinstance(value, list) else str(value)


def _tasks_of(
    lines: list[Record], path: Path, of_record: Callable[[Record], TaskType]
) -> dict[TaskType, Record]:
    records: dict[TaskType, Record] = {}
    for number, record in enumerate(lines, start=1):
        try:
            records[of_record(record)] = record
        except (ValueError, KeyError, TypeError):
            raise InputError(
                "is not a record of a study; remove the line to have its problem solved again",
                path=path,
                line=number,
            ) from None
    return records
