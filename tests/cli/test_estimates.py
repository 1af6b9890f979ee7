"""Estimates of how long work takes: near what was then measured, and said in plain words."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dosift
from dosift.cli import estimates
from dosift.cli.estimates import NOTICE_FROM, Forecast, Work
from dosift.cli.fit_files import fit_files
from dosift.cli.study import _Progress
from dosift.model.random_problems import random_mixture, random_network
from dosift.study import StudySettings, run_study
from dosift.utils.progress import ProgressReporter


class Clock:
    """Time that a test sets."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def played(steps: list[tuple[float, str, int, int | None]], **options: Any) -> list[str]:
    """Play progress at given times; return what was said."""
    clock = Clock()
    forecast = Forecast(ProgressReporter(quiet=True), clock=clock, **options)
    for seconds, stage, done, total in steps:
        clock.now = seconds
        forecast(stage, done, total)
    return [work.words() for work in forecast.said]


FIT = [
    (0.0, "reading", 0, None),
    (50.0, "screening variables", 0, None),
    (51.2, "checking the fit", 0, None),
]


def test_words_for_a_bootstrap() -> None:
    # The search took 1.2 s: reading, and what comes after the search, is not done again.
    begin = [*FIT, (60.0, "bootstrapping", 0, 200)]
    assert played(begin, processes=2, kind="parametric") == [
        "200 resamples at about 1.2 s each on 2 processes: about 2 minutes; Ctrl-C stops, and the "
        "same command goes on from there"
    ]
    again = [*begin, (61.0, "bootstrapping", 1, 200), (62.0, "bootstrapping", 2, 200)]
    assert len(played(again)) == 1
    assert played(begin)[0].startswith("200 resamples at about 3.0 s each: about 10 minutes;")
    # What an earlier run has done is not done again.
    assert played([*FIT, (60.0, "bootstrapping", 195, 200)]) == []


def test_words_for_held_out_rows_count_the_whole_estimation() -> None:
    slow = [
        (0.0, "screening variables", 0, None),
        (4.0, "freeing tables on trial", 0, 3),
        (5.0, "screening variables", 0, None),
        (16.0, "checking the fit", 0, None),
        (17.0, "holding rows out", 0, 5),
    ]
    said = played(slow, least=10)
    assert said == [
        "3 mechanisms to be freed on trial at about 10 s each, and as many again whenever one has "
        "changed: about 30 seconds; Ctrl-C stops, and keeps nothing",
        "5 folds at about 16 s each: about 1 minute; Ctrl-C stops, and keeps nothing",
    ]


def test_words_for_enumeration_and_missing_values() -> None:
    em = [(0.0, "expectation maximisation", 0, None), (10.0, "expectation maximisation", 50, None)]
    assert played(em) == [
        "expectation maximisation takes some 1,500 steps, at times several times as many, at about "
        "0.2 s each: about 5 minutes; Ctrl-C stops, and keeps nothing"
    ]
    stage = "patterns of excluded values"
    assert played([(0.0, stage, 0, 729), (5.0, stage, 50, 729)]) == [
        "729 least-squares problems at about 0.1 s each: about 1 minute; Ctrl-C stops, and keeps "
        "nothing"
    ]
    partial = [(0.0, "screening variables", 0, None), (9.0, "filling in missing values", 0, 3)]
    assert played(partial) == [
        "rows with missing values are filled in and searched again, up to 3 times at about 9.0 s "
        "each: about 30 seconds; Ctrl-C stops, and keeps nothing"
    ]


def test_a_study_is_judged_after_a_round_or_ten_seconds() -> None:
    stage = "solving problems"
    slow = [(0.0, stage, 0, 40), (3.0, stage, 1, 40), (9.0, stage, 2, 40), (12.0, stage, 3, 40)]
    end = "Ctrl-C stops, and the same command goes on from there"
    assert played(slow, round_size=8) == [
        f"37 more problems, after 3 in 10 seconds: at least 2 minutes; {end}"
    ]
    fast = [(k * 1.0, stage, k, 40) for k in range(9)]
    assert played(fast, round_size=8) == [
        f"32 more problems, after 8 in 8 seconds: about 30 seconds; {end}"
    ]


def test_short_work_goes_without_a_word() -> None:
    stage = "patterns of excluded values"
    just = NOTICE_FROM / 100
    assert played([(0.0, stage, 0, 99), (just, stage, 1, 99)]) == []
    assert len(played([(0.0, stage, 0, 101), (just, stage, 1, 101)])) == 1


def test_a_note_is_one_line_on_stderr_and_none_when_quiet(
    capsys: pytest.CaptureFixture[str],
) -> None:
    stage = "patterns of excluded values"
    for quiet, lines in ((False, 2), (True, 0)):
        clock = Clock()
        forecast = Forecast(ProgressReporter(quiet=quiet), clock=clock)
        forecast(stage, 0, 1000)
        clock.now = 50.0
        forecast(stage, 50, 1000)
        captured = capsys.readouterr()
        assert captured.out == ""
        assert len(captured.err.splitlines()) == lines
        assert quiet or captured.err.splitlines()[1].startswith("note: 1,000 least-squares")


def test_words_do_not_pretend_precision() -> None:
    assert Work("x", 1234.0).words() == "x: about 20 minutes; Ctrl-C stops, and keeps nothing"
    assert estimates.duration(54.9) == "50 seconds"
    assert estimates.duration(55.1) == "1 minute"
    assert estimates.duration(7.4 * 3600) == "7 hours"


# Against the clock, on answers whose worth does not matter here. The limit is a factor of three; a
# fraction of a second is forgiven, for the machine does other things as well.

FACTOR, FORGIVEN = 3.0, 0.4


def near(expected: float, measured: float) -> bool:
    print(f"expected {expected:.2f} measured {measured:.2f}")
    low, high = measured / FACTOR - FORGIVEN, measured * FACTOR + FORGIVEN
    return low <= expected <= high


class Watch:
    """A forecast that says everything, and when."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.said: list[tuple[Work, float]] = []
        self.stages: list[tuple[str, float]] = []
        watch = self

        class Watched(Forecast):
            def __init__(self, tell: ProgressReporter, **options: Any) -> None:
                super().__init__(tell, **(options | {"least": 0.0}))

            def __call__(self, stage: str, done: int, total: int | None) -> None:
                watch.stages.append((stage, time.monotonic()))
                before = len(self.said)
                super().__call__(stage, done, total)
                if len(self.said) > before:
                    watch.said.append((self.said[-1], time.monotonic()))

        monkeypatch.setattr(estimates, "Forecast", Watched)

    def compare(self, what: str, until: str | float) -> tuple[float, float]:
        """Return the seconds expected, and those until a stage began (or a time)."""
        work, when = next((w, t) for w, t in self.said if what in w.what)
        end = until if isinstance(until, float) else next(t for s, t in self.stages if s == until)
        return work.seconds, end - when


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    return Watch(monkeypatch)


Files = Callable[..., list[Path]]


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """Write a network and rows."""

    def write(n: int, n_targets: int, n_rows: int, seed: int = 0, missing: float = 0) -> list[Path]:
        network = random_network(n, random_state=seed)
        mixture = random_mixture(network, n_targets, max_size=4, random_state=seed)
        table = dosift.simulate(network, mixture, n_rows, random_state=seed).to_pandas()
        gone = np.random.default_rng(seed).random(table.shape) < missing
        dosift.write_network(network, tmp_path / "network.bif")
        table.mask(gone).to_csv(tmp_path / "rows.csv", index=False)
        return [tmp_path / "network.bif", tmp_path / "rows.csv"]

    return write


def run(inputs: list[Path], **settings: Any) -> None:
    given = {
        "method": "likelihood",
        "max_size": None,
        "refine": True,
        "seed": 0,
        "level": 0.95,
    } | settings
    output = inputs[0].parent / "out"
    fit_files(inputs, None, None, output, given, inputs, False, False, True)


def test_brute_force_takes_as_long_as_estimated(watch: Watch, files: Files) -> None:
    run(files(5, 6, 5000), method="brute-force")
    assert near(*watch.compare("least-squares", "checking the fit"))


@pytest.mark.slow
@pytest.mark.parametrize(("n", "n_rows", "seed"), [(6, 2000, 0), (6, 2000, 1), (6, 20_000, 1)])
@pytest.mark.filterwarnings("ignore::dosift.errors.DosiftWarning")
def test_em_takes_as_long_as_estimated(
    watch: Watch, files: Files, n: int, n_rows: int, seed: int
) -> None:
    run(files(n, 8, n_rows, seed), method="em")
    assert near(*watch.compare("expectation", "checking the fit"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "processes"), [("nonparametric", 1), ("nonparametric", 2), ("parametric", 1)]
)
def test_a_bootstrap_takes_as_long_as_estimated(
    watch: Watch, files: Files, kind: str, processes: int
) -> None:
    run(files(8, 6, 3000), bootstrap=kind, resamples=12, processes=processes)
    assert near(*watch.compare("resamples", "writing"))


@pytest.mark.slow
def test_held_out_rows_take_as_long_as_estimated(watch: Watch, files: Files) -> None:
    run(files(8, 6, 3000), held_out=4)
    assert near(*watch.compare("folds", time.monotonic()))


@pytest.mark.slow
@pytest.mark.parametrize(("missing", "seed"), [(0.02, 0), (0.1, 1), (0.3, 2)])
def test_missing_values_take_as_long_as_estimated(
    watch: Watch, files: Files, missing: float, seed: int
) -> None:
    run(files(8, 6, 4000, seed, missing))
    assert near(*watch.compare("missing", "checking the fit"))


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_any_intervention_takes_as_long_as_estimated(watch: Watch, files: Files, seed: int) -> None:
    run(files(6, 5, 4000, seed), interventions="any")
    assert near(*watch.compare("freed", "checking the fit"))


@pytest.mark.slow
def test_a_study_takes_as_long_as_estimated(watch: Watch, tmp_path: Path) -> None:
    settings = StudySettings(problems=4, rows=(256, 1024), variables=(4, 6))
    with _Progress(quiet=True, round_size=len(list(settings.tasks())) // 4) as tell:
        run_study(settings, tmp_path / "study", progress=tell)
    assert near(*watch.compare("more problems", time.monotonic()))
