"""What a repair leaves of the posteriors of single rows, and where it is said."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import dosift
from dosift.checks.verdict import Answer, RepairedModel
from dosift.data import collapse
from dosift.errors import DosiftWarning
from dosift.likelihood.evidence import Evidence
from dosift.pipeline.row_reliability import row_reliability
from dosift.pipeline.setup import Gathered
from dosift.results.folder import read_result, result_content, write_result
from dosift.results.merged import Merged
from dosift.results.rows import RowJudge, presence
from dosift.search.result import SearchResult, ranked

NETWORK = dosift.Network.from_tables({"a": ["0", "1"]}, {}, {"a": [0.5, 0.5]})
TARGETS = np.array([[-1], [1]], dtype=np.int16)
WEIGHTS = np.array([0.6, 0.4])


def gathered_rows() -> Gathered:
    """Forty rows with a = 0, and sixty with a = 1."""
    rows = collapse(np.repeat([[0], [1]], [40, 60], axis=0), [2])
    return Gathered(Evidence.of_configurations(NETWORK, rows), None)


def fit_of(gathered: Gathered) -> SearchResult:
    return ranked(gathered.evidence, NETWORK, TARGETS, WEIGHTS)


def answer_with(targets: np.ndarray, weights: np.ndarray) -> Answer:
    model = RepairedModel(NETWORK, targets, weights)
    return Answer((), 30.0, targets, weights, model)


def test_posteriors_are_worth_what_the_repaired_model_leaves() -> None:
    gathered = gathered_rows()
    # Rows with a = 1 come from do(a = 1) with .4 / (.3 + .4) by the fit, with .2 / .6 then.
    repaired = answer_with(TARGETS, np.array([0.8, 0.2]))
    found = row_reliability(gathered, fit_of(gathered), [repaired])
    assert found is not None
    assert found == pytest.approx([1.0, (0.2 / 0.6) / (0.4 / 0.7)])


def test_a_component_that_is_removed_leaves_nothing_and_none_is_worth_more() -> None:
    gathered = gathered_rows()
    found = row_reliability(gathered, fit_of(gathered), [answer_with(TARGETS[:1], np.ones(1))])
    assert found is not None
    assert found.tolist() == [1.0, 0.0]


def test_without_a_repaired_model_nothing_is_said() -> None:
    gathered = gathered_rows()
    plain = replace(answer_with(TARGETS, WEIGHTS), model=None)
    assert row_reliability(gathered, fit_of(gathered), [plain]) is None
    assert row_reliability(gathered, fit_of(gathered), []) is None


@pytest.fixture(scope="module")
def off() -> tuple[dosift.InterventionMixture, pl.DataFrame]:
    """Fit with an edge left out, so that the rows ask for it."""
    states = {name: ["0", "1", "2"] for name in "abcd"}
    strong = [[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]]
    network = dosift.Network.from_tables(
        states,
        {"b": ["a"], "c": ["b"], "d": ["a"]},
        {"a": [0.4, 0.3, 0.3], "b": strong, "c": strong, "d": strong},
    )
    truth = dosift.Mixture({dosift.do(): 0.6, dosift.do(b=0): 0.25, dosift.do(c=1, d=0): 0.15})
    control = dosift.simulate(network, dosift.Mixture({dosift.do(): 1.0}), 3000, random_state=1)
    rows = dosift.simulate(network, truth, 3000, random_state=2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DosiftWarning)
        model = dosift.InterventionMixture().fit(
            rows, control=control, graph=[("b", "c"), ("a", "d")]
        )
    return model, rows


@pytest.mark.long
def test_rows_folder_and_estimator_say_the_same(
    off: tuple[dosift.InterventionMixture, pl.DataFrame], tmp_path: Path
) -> None:
    model, rows = off
    fitted = model.fitted_
    assert fitted.judged.of_rows is not None
    assert (fitted.judged.of_rows < 1.0).any()
    together = Merged.of(fitted.network, fitted.result.targets, fitted.result.weights)
    worth = presence(fitted, together)
    expected = model.predict_proba(rows) * np.array(worth)[together.place]
    assert model.predict_proba(rows, standing=True) == pytest.approx(expected)
    texts = tuple(map(str, model.targets_))
    judge = RowJudge.of_fit(fitted, texts, by_batch=True, own_rows=True)
    assert judge.there == worth
    folder = tmp_path / "result"
    content = result_content(model, settings={}, inputs=(), timings={})
    write_result(folder, model, pl.DataFrame({"target": ["do()"]}), content)
    assert read_result(folder).presence(texts) == pytest.approx(worth)
