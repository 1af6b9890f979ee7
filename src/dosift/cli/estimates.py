"""How long work will take: judged by how it begins, and said once, in words.

Every estimate is made here. They are made from the progress that the work reports, so that they
fit the machine it runs on, and what reports need not know about them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

from dosift.utils.progress import ProgressReporter

#: Seconds that work must be expected to take for an estimate to be said.
NOTICE_FROM = 20.0
#: Steps of expectation maximisation, in the middle; measured with 4 to 6 variables of three
#: states and 1,000 to 100,000 rows, they were 170 to 4,500.
EM_STEPS = 1500
#: Searches that missing values cost, beside the one that has been done, in its time. The rows
#: are up to three times as many when they are filled in, and the last round often finds nothing.
PARTIAL_SEARCHES = 3.0
#: Time of a resample over that of the fit. Rows drawn with replacement hold coincidences that the
#: search has to look through; measured from 1.2 to 6, and from 0.5 to 1.3.
RESAMPLE = {"nonparametric": 2.5, "parametric": 1.0}
#: Time of a search with a freed table, which is learned with the mixture, over that of the first.
FREED_SEARCH = 2.5
#: Seconds that each process of a bootstrap needs to begin.
_PROCESS_BEGINS = 2.0
#: Seconds after which a study is judged by what it has solved, if its first round is still going.
_FIRST_LOOK = 10.0


class Work(NamedTuple):
    """What is ahead.

    Attributes
    ----------
    what : str
        A clause, such as "200 resamples at about 1.2 s each".
    seconds : float
        How long it will take.
    if_stopped : str
        What becomes of it after Ctrl-C.
    bound : str
        "about", or "at least".
    """

    what: str
    seconds: float
    if_stopped: str = "Ctrl-C stops, and keeps nothing"
    bound: str = "about"

    def words(self) -> str:
        """Say it.

        Examples
        --------
        >>> Work("5 folds at about 10 s each", 50.0).words()
        '5 folds at about 10 s each: about 50 seconds; Ctrl-C stops, and keeps nothing'
        """
        return f"{self.what}: {self.bound} {duration(self.seconds)}; {self.if_stopped}"


def duration(seconds: float) -> str:
    """Say a duration as precisely as an estimate deserves.

    Examples
    --------
    >>> [duration(s) for s in (0.2, 47, 60, 130, 5000, 1e5, 1e6)]
    ['1 second', '50 seconds', '1 minute', '2 minutes', '80 minutes', '28 hours', '12 days']
    """
    if seconds < 10:
        return _number(max(round(seconds), 1), "second")
    if seconds < 55:
        return _number(10 * round(seconds / 10), "second")
    minutes = seconds / 60
    if minutes < 100:
        return _number(round(minutes) if minutes < 20 else 10 * round(minutes / 10), "minute")
    hours = minutes / 60
    return _number(round(hours), "hour") if hours < 48 else _number(round(hours / 24), "day")


def _number(number: int, unit: str) -> str:
    return f"{number:,} {unit}" if number == 1 else f"{number:,} {unit}s"


def _each(seconds: float) -> str:
    if seconds < 0.1:
        return f"{1000 * seconds:.2g} ms"
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:,.0f} s"


class Forecast:
    """Passes progress on, and says how long what has begun will take.

    Parameters
    ----------
    tell : ProgressReporter
        Shows progress, and what is said.
    processes : int, default=1
        Processes of a bootstrap.
    kind : {"nonparametric", "parametric"}, default="nonparametric"
        Kind of bootstrap.
    round_size : int, default=1
        Problems of a study until every setting has had one.
    least : float, default=NOTICE_FROM
        Seconds from which an estimate is said.
    clock : callable, optional
        Returns seconds; `time.monotonic` if not given.

    Attributes
    ----------
    said : list of Work
        Estimates that were said.

    Examples
    --------
    >>> from dosift.utils.progress import ProgressReporter
    >>> times = iter([0.0, 30.0, 31.0])
    >>> forecast = Forecast(ProgressReporter(quiet=True), clock=lambda: next(times))
    >>> forecast("splitting targets", 0, None)
    >>> forecast("checking the fit", 0, None)
    >>> forecast("holding rows out", 0, 5)
    >>> forecast.said[0].words()
    '5 folds at about 30 s each: about 2 minutes; Ctrl-C stops, and keeps nothing'
    """

    def __init__(
        self,
        tell: ProgressReporter,
        processes: int = 1,
        kind: str = "nonparametric",
        round_size: int = 1,
        least: float = NOTICE_FROM,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._tell, self._least, self._clock = tell, least, clock or time.monotonic
        self._processes, self._round = processes, round_size
        self._resample = RESAMPLE.get(kind, 1.0)
        self._begin: dict[str, tuple[float, int]] = {}
        self._search_begin: float | None = None
        self._search: float | None = None
        self._fit: float | None = None
        self.said: list[Work] = []
        self._is_said: set[str] = set()
        #: The only list of stages that are judged; a test sees that they are still reported.
        self._judges: dict[str, Callable[[float, int, int | None], Work | None]] = {
            "bootstrapping": self._bootstrap,
            "holding rows out": self._held_out,
            "filling in missing values": self._missing,
            "freeing tables on trial": self._tables,
            "expectation maximisation": self._em,
            "patterns of excluded values": self._patterns,
            "solving problems": self._problems,
        }

    def __call__(self, stage: str, done: int, total: int | None) -> None:
        """Report a step."""
        self._tell(stage, done, total)
        now = self._clock()
        self._time(stage, now)
        self._begin.setdefault(stage, (now, done))
        judge = self._judges.get(stage)
        if judge is None or stage in self._is_said:
            return
        work = judge(now, done, total)
        if work is None:
            return
        self._is_said.add(stage)
        if work.seconds >= self._least:
            self.said.append(work)
            self._tell.say(work.words())

    def say(self, text: str) -> None:
        """Say something beside the progress."""
        self._tell.say(text)

    def left(self, stage: str, done: int, total: int) -> float | None:
        """Return the seconds that a stage still needs at the pace it had, if it has any."""
        begin, first = self._begin.get(stage, (0.0, done))
        if done <= first:
            return None
        return (self._clock() - begin) / (done - first) * (total - done)

    def _time(self, stage: str, now: float) -> None:
        """Take the time of the first search for targets, and of the whole estimation."""
        if stage == "reading":
            return
        if self._search_begin is None:
            self._search_begin = now
        if stage in {"filling in missing values", "freeing tables on trial", "checking the fit"}:
            self._search = self._search or now - self._search_begin
        if stage == "checking the fit":
            self._fit = self._fit or now - self._search_begin

    # One for each kind of long work: None as long as too little is known.

    def _bootstrap(self, now: float, done: int, total: int | None) -> Work | None:
        number = (total or 0) - done
        each = (self._search or 0.0) * self._resample
        processes = max(min(self._processes, number), 1)
        seconds = number * each / processes + (_PROCESS_BEGINS if processes > 1 else 0)
        place = f" on {processes} processes" if processes > 1 else ""
        return Work(
            f"{number:,} resamples at about {_each(each)} each{place}",
            seconds,
            "Ctrl-C stops, and the same command goes on from there",
        )

    def _held_out(self, now: float, done: int, total: int | None) -> Work | None:
        folds, each = total or 0, self._fit or 0.0
        return Work(f"{folds} folds at about {_each(each)} each", folds * each)

    def _missing(self, now: float, done: int, total: int | None) -> Work | None:
        each = self._search or 0.0
        return Work(
            f"rows with missing values are filled in and searched again, up to {total} times at "
            f"about {_each(each)} each",
            PARTIAL_SEARCHES * each,
        )

    def _tables(self, now: float, done: int, total: int | None) -> Work | None:
        number, each = total or 0, FREED_SEARCH * (self._search or 0.0)
        return Work(
            f"{_number(number, 'mechanism')} to be freed on trial at about {_each(each)} each, and "
            "as many again whenever one has changed",
            number * each,
        )

    def _em(self, now: float, done: int, total: int | None) -> Work | None:
        if not done:
            return None
        begin, first = self._begin["expectation maximisation"]
        each = (now - begin) / (done - first)
        return Work(
            f"expectation maximisation takes some {EM_STEPS:,} steps, at times several times as "
            f"many, at about {_each(each)} each",
            EM_STEPS * each,
        )

    def _patterns(self, now: float, done: int, total: int | None) -> Work | None:
        if not done:
            return None
        begin, first = self._begin["patterns of excluded values"]
        each = (now - begin) / (done - first)
        return Work(
            f"{total:,} least-squares problems at about {_each(each)} each",
            (total or 0) * each,
        )

    def _problems(self, now: float, done: int, total: int | None) -> Work | None:
        begin, first = self._begin["solving problems"]
        solved, number = done - first, (total or 0) - first
        is_round = solved >= self._round
        if not solved or not (is_round or now - begin >= _FIRST_LOOK):
            return None
        left = number - solved
        return Work(
            f"{left:,} more problems, after {solved:,} in {duration(now - begin)}",
            (now - begin) / solved * left,
            "Ctrl-C stops, and the same command goes on from there",
            # All settings come before the next problem, those that take long at the end.
            bound="about" if is_round else "at least",
        )
