"""Independent tasks in several processes, with one thread each."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import TypeVar

from threadpoolctl import threadpool_limits

from dosift.errors import InputError

Task = TypeVar("Task")
Outcome = TypeVar("Outcome")


def in_processes(
    work: Callable[[Task], Outcome], tasks: Sequence[Task], processes: int
) -> Iterator[Outcome]:
    """Do independent tasks in several processes.

    Parameters
    ----------
    work : callable
        Takes a task; must be picklable, as its outcome.
    tasks : sequence
    processes : int
        1 means this process.

    Yields
    ------
    object
        Outcomes, in the order in which they come.

    Raises
    ------
    InputError
        If a process dies.
    """
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
            "a process died, perhaps for want of memory; what is done is kept: run the same "
            "command again, with fewer --processes"
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
