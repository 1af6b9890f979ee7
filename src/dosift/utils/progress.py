"""Progress on a terminal as a bar with an estimate, elsewhere as plain lines."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

#: Told how far a job is: the stage's name, the steps done and the steps in all, None when unknown.
Progress = Callable[[str, int, "int | None"], None]


def silent(stage: str, done: int, total: int | None) -> None:
    """Tell nobody."""


def tell_user(text: str) -> None:
    """Print on stderr; where nobody reads it any more, or a disk is full, work goes on.

    Parameters
    ----------
    text : str
    """
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:
        # What could not be written must not be tried again when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


class ProgressReporter:
    """Tells how far a long job is, on stderr.

    Called with a stage's name, the steps done and the steps in all (or None when unknown), it
    shows a bar with the time left on a terminal, one line for each stage elsewhere, and nothing
    when quiet.

    Parameters
    ----------
    quiet : bool, default=False
        Whether to say nothing.

    Examples
    --------
    >>> with ProgressReporter(quiet=True) as tell:
    ...     tell("splitting targets", 1, 4)
    """

    def __init__(self, quiet: bool = False) -> None:
        self._quiet = quiet
        self._bar: Any = None
        self._task: Any = None
        self._stage: str | None = None

    def __enter__(self) -> Self:
        if not self._quiet and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import (
                BarColumn,
                Progress,
                SpinnerColumn,
                TextColumn,
                TimeElapsedColumn,
                TimeRemainingColumn,
            )
            from rich.text import Text

            class Left(TimeRemainingColumn):
                """The time left; nothing where the number of steps is not known."""

                def render(self, task: Any) -> Text:
                    if task.total is None:
                        return Text("")
                    return Text.assemble("left ", super().render(task))

            self._bar = Progress(
                SpinnerColumn(),
                TextColumn("{task.description}"),
                BarColumn(),
                TimeElapsedColumn(),
                Left(),
                console=Console(stderr=True),
                transient=True,
            )
            self._bar.start()
        return self

    def __call__(self, stage: str, done: int, total: int | None) -> None:
        """Report a step."""
        is_new = stage != self._stage
        self._stage = stage
        if self._bar is not None:
            if is_new:
                if self._task is not None:
                    self._bar.remove_task(self._task)
                self._task = self._bar.add_task(stage, total=total)
            self._bar.update(self._task, completed=done, total=total)
        elif is_new and not self._quiet:
            tell_user(f"{stage} ...")

    def say(self, text: str) -> None:
        """Say something beside the bar, as a note.

        Parameters
        ----------
        text : str
            One line.
        """
        if self._quiet:
            return
        if self._bar is not None:
            self._bar.console.print(f"note: {text}", markup=False, highlight=False, soft_wrap=True)
        else:
            tell_user(f"note: {text}")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
