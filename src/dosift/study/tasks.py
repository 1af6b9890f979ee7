"""A task of any study, and the record of what came of it."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from typing import Any, Self, TypeVar

from dosift.errors import DosiftError

Record = dict[str, Any]
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class AnyTask:
    """One problem of any study, solved in one way."""

    @classmethod
    def of_record(cls, record: Record) -> Self:
        """Return the task that a record is about.

        Parameters
        ----------
        record : dict

        Returns
        -------
        AnyTask

        Raises
        ------
        KeyError
            If the record lacks a field.
        """
        return cls(**{field.name: record[field.name] for field in fields(cls)})


def attempt(
    task: AnyTask, solve: Callable[[], Answer], score: Callable[[Answer], Record]
) -> Record:
    """Solve a task, and score the answer if there is one.

    Parameters
    ----------
    task : AnyTask
    solve : callable
        Returns the answer; this is what is timed.
    score : callable
        Returns what is said of the answer.

    Returns
    -------
    dict
        The fields of the task; ``refused``, None or why there is no answer; and, if there is one,
        ``seconds`` and what `score` says.
    """
    record: Record = {**asdict(task), "refused": None}
    begin = time.perf_counter()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of fits that are poor: the scores will tell
            answer = solve()
    except DosiftError as error:
        return {**record, "refused": str(error)}
    except MemoryError:
        return {**record, "refused": "not enough memory"}
    record["seconds"] = round(time.perf_counter() - begin, 4)
    return {**record, **score(answer)}
