"""Work in threads, in the order of the items."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import cache
from itertools import islice
from typing import TypeVar

from threadpoolctl import ThreadpoolController

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")


@cache
def _libraries() -> ThreadpoolController:
    """Find the libraries that have threads of their own, once: that takes a while.

    numpy and scipy may each bring one, which has to be loaded to be found.
    """
    import scipy.linalg  # noqa: F401

    return ThreadpoolController()


def one_blas_thread() -> AbstractContextManager[object]:
    """Let linear algebra use one thread.

    Our matrices are small, and many threads on small matrices cost far more than they bring; one
    thread also makes sums, and so results, independent of the machine.

    Returns
    -------
    context manager

    Examples
    --------
    >>> with one_blas_thread():
    ...     pass
    """
    limited: AbstractContextManager[object] = _libraries().limit(limits=1)
    return limited


def reduce_in_threads(
    items: Iterable[Item],
    task: Callable[[Item], Outcome],
    merge: Callable[[Outcome, Outcome], Outcome],
    threads: int,
) -> Outcome:
    """Apply a task to items, several at a time, and merge in the items' order.

    Parameters
    ----------
    items : iterable
        At least one.
    task : callable
        Takes an item.
    merge : callable
        Takes what came of earlier items and of the next one.
    threads : int

    Returns
    -------
    object
        The same, to the last bit, whatever the number of threads.
    """
    # Threads of the linear algebra library under threads of ours took 25 times as long.
    with one_blas_thread():
        results = in_threads(task, items, threads)
        total = next(results)
        for result in results:
            total = merge(total, result)
    return total


def in_threads(
    work: Callable[[Item], Outcome], items: Iterable[Item], threads: int
) -> Iterator[Outcome]:
    """Map in order, with so many items under way at a time and no more held.

    Parameters
    ----------
    work : callable
    items : iterable
    threads : int

    Yields
    ------
    object
        Outcomes in the order of the items.
    """
    if threads <= 1:
        yield from map(work, items)
        return
    iterator = iter(items)
    with ThreadPoolExecutor(threads) as pool:
        try:
            waiting: deque[Future[Outcome]] = deque(
                pool.submit(work, item) for item in islice(iterator, threads)
            )
            while waiting:
                outcome = waiting.popleft().result()
                for item in islice(iterator, 1):
                    waiting.append(pool.submit(work, item))
                yield outcome
        finally:
            pool.shutdown(cancel_futures=True)


def available_threads() -> int:
    """Processors that this process may use, four at most."""
    try:
        n = len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        n = os.cpu_count() or 1
    return min(n, 4)
