"""What cannot be combined is refused by the one table, and nothing else; rows and their tables."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import dosift
from dosift.checks.surprisal import SurprisalScale
from dosift.data.blocks import Beside, Block, MemoryBlocks
from dosift.errors import DosiftWarning, InputError
from dosift.model.linear import LinearMechanism
from dosift.model.mechanism import Changes
from dosift.model.mechanism_network import MechanismNetwork
from dosift.model.network import Variable
from dosift.model.scale import Scale
from dosift.refusals import NUMBERS, REFUSALS, TIME, UNITS, Refusal, refuse
from dosift.results.rows import RowJudge
from plain_sums import TARGETS, toy_rows, toy_weights

FEATURES = sorted({name for row in REFUSALS for name in (row.one, row.other)} | {"likelihood"})
#: What fits again.
AGAIN = {"bootstrap": dosift.bootstrap, "held-out rows": dosift.held_out}
METHODS = ("likelihood", "moments", "em", "brute-force")


def test_each_row_is_refused_with_its_reason_and_nothing_else_is() -> None:
    pairs = {frozenset((row.one, row.other)): row.why for row in REFUSALS}
    assert len(pairs) == len(REFUSALS)
    for size in (1, 2):
        for some in itertools.combinations(FEATURES, size):
            if frozenset(some) in pairs:
                with pytest.raises(InputError) as caught:
                    refuse(set(some))
                assert pairs[frozenset(some)] in str(caught.value)
                assert "cannot be combined" in str(caught.value)
            else:
                refuse(set(some))
    likelihood = set(FEATURES) - {"moments", "em", "brute-force", TIME}
    not_of_numbers = {r.one for r in REFUSALS if r.other == NUMBERS}
    for graph in ("changed mechanisms", "repaired graph"):
        for kinds in (not_of_numbers, {NUMBERS}):
            refuse(likelihood - {graph, *kinds, "rows in blocks"})
            refuse(likelihood - {graph, *kinds, *AGAIN, "sample weights"})


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    network = dosift.random_network(3, n_edges=2, random_state=1)
    truth = dosift.Mixture({dosift.do(): 0.6, dosift.do(V1="1"): 0.4})
    targets, weights = truth.to_codes(network)
    from dosift.model.simulate import sample_codes

    return sample_codes(network, targets, weights, 400, np.random.default_rng(0))[0]


def knowing(**known: Any) -> dict[str, Any]:
    return {"prior_knowledge": dosift.PriorKnowledge(**known)}


def of_numbers() -> MechanismNetwork:
    """Three measurements without edges."""
    return MechanismNetwork(
        tuple(LinearMechanism.untaught(i, (), ()) for i in range(3)),
        (Changes(()),) * 3,
        None,
        tuple(Variable(f"V{i}", kind="continuous") for i in range(3)),
        (Scale(),) * 3,
    )


def with_feature(name: str, rows: np.ndarray) -> tuple[dict[str, Any], dict[str, Any], np.ndarray]:
    """Settings of the estimator, of the fit, and the rows, that have a feature."""
    holes = rows.copy()
    holes[::20, 1] = -1
    labels = ["do()" if r % 50 == 0 else "" for r in range(len(rows))]
    found: dict[str, tuple[dict[str, Any], dict[str, Any], np.ndarray]] = {
        "batches": ({}, {"batch": np.arange(len(rows)) % 2}, rows),
        "labels": ({}, {"labels": labels}, rows),
        "stochastic interventions": ({"interventions": "stochastic"}, {}, rows),
        "changed mechanisms": ({"interventions": "any"}, {}, rows),
        "repaired graph": ({"edges": "repair"}, {}, rows),
        "missing values": ({}, {}, holes),
        "sample weights": ({}, {"sample_weight": np.ones(len(rows))}, rows),
        "prior knowledge": (knowing(required=[dosift.do(V1="1")]), {}, rows),
        "required": (knowing(required=[dosift.do(V1="1")]), {}, rows),
        "known weights": (knowing(known_weights={dosift.do(V1="1"): 0.4}), {}, rows),
        "rows in blocks": ({}, {}, rows),
        UNITS: ({}, {"unit": np.arange(len(rows)) // 2}, rows),
        NUMBERS: ({}, {}, rows + 0.5),
        TIME: ({}, {"time": np.arange(len(rows))}, rows),
    }
    return ({"method": name}, {}, rows) if name in METHODS else found[name]


@pytest.mark.parametrize("row", REFUSALS, ids=lambda row: f"{row.one}-{row.other}")
def test_each_row_is_refused_by_what_a_user_calls(
    row: Refusal, rows: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    network: Any = dosift.random_network(3, n_edges=2, random_state=1)
    if NUMBERS in (row.one, row.other):
        network = of_numbers()
    if row.one not in AGAIN:
        settings, beside, _ = with_feature(row.one, rows)
        more, other, own = with_feature(row.other, rows)
        model = dosift.InterventionMixture(network, **settings, **more)
        beside |= other
        call: Callable[[], Any] = lambda: model.fit(given, **beside)  # noqa: E731
    else:
        beside = with_feature(row.other, rows)[1]
        fitted, own = dosift.InterventionMixture(network).fit(rows, **beside), rows
        call = lambda: AGAIN[row.one](fitted, given)  # noqa: E731
    given: Any = own
    if row.other == "rows in blocks":
        given = MemoryBlocks(own)
        monkeypatch.setattr("dosift.data.sample.MOST_CONFIGURATIONS", 8)
    with pytest.raises(InputError) as caught:
        call()
    assert row.why in str(caught.value)


@pytest.mark.filterwarnings("ignore::dosift.errors.DosiftWarning")
@pytest.mark.parametrize("method", ["moments", "em", "brute-force"])
@pytest.mark.parametrize(
    "other",
    # Rows in blocks are fitted by each method for the page "what goes with what".
    [
        *("batches", "labels", "missing values"),
        pytest.param("rows in blocks", marks=pytest.mark.long),
    ],
)
def test_what_is_not_in_the_table_is_fitted(
    method: str, other: str, rows: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    if any({r.one, r.other} == {method, other} for r in REFUSALS):
        return
    network = dosift.random_network(3, n_edges=2, random_state=1)
    more, beside, own = with_feature(other, rows)
    given: Any = own
    if other == "rows in blocks":
        given = MemoryBlocks(own)
        monkeypatch.setattr("dosift.data.sample.MOST_CONFIGURATIONS", 8)
    model = dosift.InterventionMixture(network, method=method, **more).fit(given, **beside)
    assert model.weights_.sum() == pytest.approx(1.0)
    assert (model.n_configurations_ is None) == (other == "rows in blocks")


TEXTS = ("do()", "do(a=1)", "do(b=2, d=0)", "do(c=1)", "do(a=0, c=1, d=1)")


def judged(batches: bool = False, missing: bool = False, **more: Any) -> tuple[Any, Any, Any]:
    rows = toy_rows(1, batches=batches, missing=missing)
    weights = toy_weights(rows.n_batches)
    density = rows.mixture(TARGETS, weights)
    scale = SurprisalScale.of_sample(np.log(np.unique(density)), np.ones(np.unique(density).size))
    own = weights if batches else weights[0]
    return rows, weights, RowJudge(rows.network, TARGETS, own, TEXTS, scale, **more)


@pytest.mark.parametrize("batches", [False, True])
@pytest.mark.parametrize("missing", [False, True])
def test_rows_are_judged_as_bayes_says(batches: bool, missing: bool) -> None:
    rows, weights, judge = judged(batches, missing, all_probabilities=True)
    block = Block(rows.codes, rows.counts, rows.batch)
    table = judge.table(block)
    at = np.zeros(60, dtype=int) if rows.batch is None else rows.batch
    joint = rows.likelihoods(TARGETS) * weights[at]
    density = joint.sum(axis=1)
    posterior = joint / density[:, None]
    np.testing.assert_allclose(table["probability"], posterior.max(axis=1))
    own = np.array([TEXTS.index(t) for t in table["target"]])
    np.testing.assert_allclose(posterior[np.arange(60), own], posterior.max(axis=1))
    np.testing.assert_allclose(table["surprise"], -np.log(density), atol=1e-12)
    np.testing.assert_allclose(table.select(TEXTS).to_numpy(), posterior, atol=1e-12)
    p_values = judge.scale.p_values(np.log(density))
    np.testing.assert_allclose(table["surprise_p_value"], p_values)
    assert "labelled" not in table.columns
    if batches:  # without the batches' own weights, rows are judged by those of the pool
        pooled = RowJudge(rows.network, TARGETS, weights[0], TEXTS, judge.scale)
        other = rows.likelihoods(TARGETS) * weights[0]
        np.testing.assert_allclose(
            pooled.table(block)["surprise"], -np.log(other.sum(axis=1)), atol=1e-12
        )


def test_a_bound_names_the_unexplained() -> None:
    rows, _, judge = judged(bound=0.2)
    table = judge.table(Block(rows.codes, rows.counts))
    assert table["unexplained"].to_list() == (table["surprise_p_value"] <= 0.2).to_list()
    assert 0 < table["unexplained"].sum() < 60
    assert judge.bounded(rows.blocks()) is judge
    _, _, free = judged()
    found = free.bounded(rows.blocks())
    assert found.bound is not None
    assert found.bound < 0.2  # rows of no mixture, but with its own scale


def test_labelled_rows_have_their_label() -> None:
    labels = ("do(a=1)", "do(x)")
    rows, _, judge = judged(labels=labels, all_probabilities=True)
    label = np.full(60, -1)
    label[3], label[5] = 0, 1
    plain = judge.table(Block(rows.codes, rows.counts))
    table = judge.table(Block(rows.codes, rows.counts, None, label))
    assert table["labelled"].to_list() == [r in (3, 5) for r in range(60)]
    assert table["target"][3] == "do(a=1)"
    assert table["target"][5] == "do(x)"
    assert table["probability"][3] == table["probability"][5] == 1.0
    assert table.select(TEXTS).row(3) == (0.0, 1.0, 0.0, 0.0, 0.0)
    assert table.select(TEXTS).row(5) == (0.0,) * 5
    others = [r for r in range(60) if r not in (3, 5)]
    assert table[others].drop("labelled").equals(plain[others])
    # How surprising a row is does not depend on what is known of it.
    assert table["surprise"].equals(plain["surprise"])


def test_rows_that_nothing_can_produce_have_no_target() -> None:
    rows, _, judge = judged()
    alone = RowJudge(rows.network, TARGETS[1:2], np.ones(1), TEXTS[1:2], judge.scale)
    table = alone.table(Block(rows.codes, rows.counts))
    impossible = rows.codes[:, 0] != 1
    assert table["target"].is_null().to_list() == impossible.tolist()
    assert table["probability"].is_null().to_list() == impossible.tolist()
    assert (table["surprise_p_value"].to_numpy()[impossible] == 0).all()
    assert np.isposinf(table["surprise"].to_numpy()[impossible]).all()


def test_a_fit_judges_rows_by_their_batch_or_by_the_pool() -> None:
    rows = toy_rows(3, batches=True, n_rows=600)
    blocks = MemoryBlocks(
        np.column_stack([rows.codes, rows.batch]), rows.counts, beside=Beside(("p", "q", "r"))
    )
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DosiftWarning)
        model = dosift.InterventionMixture(rows.network, max_size=1).fit(blocks)
    result = model.fitted_.result
    assert result.batch_weights is not None
    own = model.fitted_.judge(Block(rows.codes, rows.counts, rows.batch))
    expected = rows.mixture(result.targets, result.batch_weights)
    np.testing.assert_allclose(own.log_probability, np.log(expected))
    pooled = model.fitted_.judge(Block(rows.codes, rows.counts))
    columns = rows.likelihoods(result.targets)
    np.testing.assert_allclose(pooled.log_probability, np.log(columns @ result.weights))


def test_p_values_of_surprise_are_uniform_for_rows_of_the_pool() -> None:
    """Batches are unlike, and rows of both are judged without: by a scale of the pool."""
    network = dosift.random_network(4, random_state=1)
    do = dosift.do
    truths = [
        dosift.Mixture({do(): 0.9, do(V1="1"): 0.1}),
        dosift.Mixture({do(): 0.1, do(V2="0", V3="1"): 0.9}),
    ]
    drawn = [dosift.simulate(network, t, 1500, random_state=k) for k, t in enumerate(truths)]
    rows = drawn[0].vstack(drawn[1])
    model = dosift.InterventionMixture(network).fit(rows, batch=np.repeat(["p", "q"], 1500))
    p_values = model.surprise_p_value(model.sample(20_000, random_state=3))
    for level in (0.05, 0.1, 0.3, 0.5):
        # A discrete scale: never more than the level, with four standard errors to spare.
        assert np.mean(p_values <= level) <= level + 4 * np.sqrt(level / 20_000)
