"""Run a study over processes, keeping each solved problem on disk."""

from __future__ import annotations

import json
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from dosift.atomic import write_bytes
from dosift.errors import InputError
from dosift.study.problems import network_path, solve
from dosift.study.settings import StudySettings, Task

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows: two studies in one folder go unnoticed
    fcntl = None  # type: ignore[assignment]

Progress = Callable[[str, int, "int | None"], None]
Record = dict[str, Any]

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
    tell = progress or _silent
    wanted = list(settings.tasks())
    with _open_store(Path(folder), settings) as (done, keep):
        missing = [task for task in wanted if task not in done]
        tell("solving problems", len(wanted) - len(missing), len(wanted))
        work = partial(solve, settings.seed, settings.max_size)
        for record in _solved(work, missing, min(processes, len(missing))):
            keep(record)
            done[Task.of_record(record)] = record
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
    folder: Path, settings: StudySettings
) -> Iterator[tuple[dict[Task, Record], Callable[[Record], None]]]:
    """Claim the folder; yield the records in it and a function that adds one for good."""
    _claim(folder, settings)
    path = folder / PROBLEMS_NAME
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", path=path) from None
    try:
        _lock(descriptor, folder)
        yield _read_records(path, descriptor), partial(_append, descriptor, path)
    finally:
        os.close(descriptor)


def _claim(folder: Path, settings: StudySettings) -> None:
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


def _lock(descriptor: int, folder: Path) -> None:
    if fcntl is None:  # pragma: no cover - Windows
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise InputError("another run is at work on this study; wait for it", path=folder) from None
    except OSError:  # a file system without locks
        return


def _read_records(path: Path, descriptor: int) -> dict[Task, Record]:
    """Read the records, and cut off a last line that a killed run left unfinished."""
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if len(whole) < len(content):
        os.ftruncate(descriptor, len(whole))
    records: dict[Task, Record] = {}
    for number, line in enumerate(whole.splitlines(), start=1):
        try:
            record = json.loads(line)
            records[Task.of_record(record)] = record
        except (ValueError, KeyError, TypeError):
            raise InputError(
                "is not a record of a study; remove the line to have its problem solved again",
                path=path,
                line=number,
            ) from None
    return records


def _append(descriptor: int, path: Path, record: Record) -> None:
    """Add a line and wait until it is on the disk."""
    line = json.dumps(record, allow_nan=False).encode() + b"\n"
    try:
        if os.write(descriptor, line) < len(line):
            raise OSError(0, "the disk is full")
        os.fsync(descriptor)
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", path=path) from None


# The processes.


def _solved(work: Callable[[Task], Record], tasks: list[Task], processes: int) -> Iterator[Record]:
    """Solve tasks and yield records as they come."""
    if processes <= 1:
        with threadpool_limits(1):
            yield from map(work, tasks)
        return
    others = set(multiprocessing.active_children())
    # Fresh processes: forked ones would inherit the locks of threads that they do not have.
    pool = ProcessPoolExecutor(
        processes, multiprocessing.get_context("spawn"), initializer=_begin_worker
    )
    try:
        with _interrupts_held():  # the new processes begin with interrupts held, and stay so
            futures = [pool.submit(work, task) for task in tasks]
        for future in as_completed(futures):
            yield future.result()
        pool.shutdown()
    except BrokenProcessPool:
        raise InputError(
            "a process of the study died, perhaps for want of memory; what is solved is kept: "
            "run the same command again, with fewer --processes"
        ) from None
    finally:
        # Only after an error or interrupt is there anybody left.
        for child in set(multiprocessing.active_children()) - others:
            child.terminate()
        pool.shutdown(cancel_futures=True)


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Hold back Ctrl-C; it comes at the end, to this process alone."""
    if not hasattr(signal, "pthread_sigmask"):  # pragma: no cover - Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


#: Keeps the limit of threads of a worker process.
_limits: list[threadpool_limits] = []


def _begin_worker() -> None:
    """Use one thread; leave interrupts to the parent, and end when it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _limits.append(threadpool_limits(1))
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)
