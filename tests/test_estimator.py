"""The estimator: habits, errors, and agreement of its parts."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.base import clone

import dosift
from dosift.errors import InputError, MisfitWarning, NotFittedError


@pytest.fixture(scope="module")
def network() -> dosift.Network:
    return dosift.random_network(5, random_state=1)


@pytest.fixture(scope="module")
def truth(network: dosift.Network) -> dosift.Mixture:
    return dosift.random_mixture(network, 4, random_state=2)


@pytest.fixture(scope="module")
def rows(network: dosift.Network, truth: dosift.Mixture) -> pl.DataFrame:
    return dosift.simulate(network, truth, 8000, random_state=3)


@pytest.fixture(scope="module")
def model(network: dosift.Network, rows: pl.DataFrame) -> dosift.InterventionMixture:
    return dosift.InterventionMixture(network).fit(rows)


def test_the_mixture_is_found(model: dosift.InterventionMixture, truth: dosift.Mixture) -> None:
    scores = dosift.evaluate(truth, model.mixture_)
    assert scores.recall == scores.precision == 1.0
    assert scores.tv < 0.05
    assert model.converged_
    assert model.optimality_gap_ <= 1e-8
    assert model.fit_check_.fits


def test_constructor_arguments_are_only_stored(network: dosift.Network) -> None:
    model = dosift.InterventionMixture(network, max_size=3, gap_tolerance=1e-6)
    assert model.get_params()["max_size"] == 3
    copy = clone(model, safe=False)
    assert copy.get_params()["gap_tolerance"] == 1e-6
    assert copy.set_params(max_size=None).max_size is None
    assert repr(dosift.InterventionMixture(max_size=2)) == "InterventionMixture(max_size=2)"
    with pytest.raises(InputError, match="no parameter 'size'"):
        model.set_params(size=1)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"method": "magic"}, "magic"),
        ({"max_size": 0}, "max_size"),
        ({"max_size": True}, "max_size"),
        ({"gap_tolerance": 0.0}, "gap_tolerance"),
        ({"network": "net.bif"}, "read_network"),
    ],
)
def test_wrong_arguments_are_refused_at_fit(
    arguments: dict[str, object], words: str, network: dosift.Network, rows: pl.DataFrame
) -> None:
    model = dosift.InterventionMixture(**{"network": network, **arguments})  # type: ignore[arg-type]
    with pytest.raises(InputError, match=words):
        model.fit(rows)


def test_an_unfitted_model_says_so(network: dosift.Network, rows: pl.DataFrame) -> None:
    with pytest.raises(NotFittedError, match="call fit"):
        dosift.InterventionMixture(network).predict(rows)


def test_predictions_agree_with_each_other(
    model: dosift.InterventionMixture, rows: pl.DataFrame
) -> None:
    posterior = model.predict_proba(rows)
    assert posterior.shape == (8000, len(model.targets_))
    assert posterior.sum(axis=1) == pytest.approx(1.0)
    texts = np.array([str(target) for target in model.targets_], dtype=object)
    assert (model.predict(rows) == texts[posterior.argmax(axis=1)]).all()
    # At the maximum the mean posterior of a component is its weight.
    assert posterior.mean(axis=0) == pytest.approx(model.weights_, abs=1e-6)
    assert model.score(rows) == pytest.approx(-model.surprise(rows).mean())
    assert model.log_likelihood_ == pytest.approx(8000 * model.score(rows), rel=1e-9)


def test_posteriors_follow_bayes_rule(
    model: dosift.InterventionMixture, network: dosift.Network, rows: pl.DataFrame
) -> None:
    first = rows.head(1)
    joint = []
    for target, weight in zip(model.targets_, model.weights_, strict=True):
        probability = weight
        for i, variable in enumerate(network.variables):
            state = first[variable.name][0]
            if variable.name in target:
                probability *= float(target[variable.name] == state)
            else:
                row = 0
                for p in network.parents[i]:
                    parent = network.variables[p]
                    row = row * 3 + parent.states.index(first[parent.name][0])
                probability *= network.tables[i][row, variable.states.index(state)]
        joint.append(probability)
    assert model.predict_proba(first)[0] == pytest.approx(np.array(joint) / sum(joint))
    assert model.surprise(first)[0] == pytest.approx(-np.log(sum(joint)))


@pytest.mark.long
@pytest.mark.filterwarnings("ignore::dosift.errors.UnitsWarning")
def test_sample_weight_is_repetition(network: dosift.Network, rows: pl.DataFrame) -> None:
    few = rows.head(200)
    weights = np.random.default_rng(0).integers(0, 4, size=200)
    repeated = few[np.repeat(np.arange(200), weights)]
    with warnings.catch_warnings():
        # Repeated rows are no independent ones, which the fit check may well notice.
        warnings.simplefilter("ignore", MisfitWarning)
        weighted = dosift.InterventionMixture(network).fit(few, sample_weight=weights)
        plain = dosift.InterventionMixture(network).fit(repeated)
    assert weighted.targets_ == plain.targets_
    assert weighted.weights_ == pytest.approx(plain.weights_, abs=0)
    with pytest.raises(InputError, match="sample_weight"):
        dosift.InterventionMixture(network).fit(few, sample_weight=weights[:3])
    with pytest.raises(InputError, match="negative"):
        dosift.InterventionMixture(network).fit(few, sample_weight=-np.ones(200))


def test_the_summary_comes_in_the_callers_library(
    network: dosift.Network, rows: pl.DataFrame
) -> None:
    few = rows.head(300)
    for table, kind in (
        (few, pl.DataFrame),
        (few.to_pandas(), pd.DataFrame),
        (few.to_arrow(), pa.Table),
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", MisfitWarning)
            summary = dosift.InterventionMixture(network).fit(table).summary()
        assert isinstance(summary, kind)
    names = (
        "target size weight std_error ci_low ci_high p_value q_value rows probability status stands"
    )
    assert list(summary.column_names) == names.split()


def test_totals_add_up(model: dosift.InterventionMixture, truth: dosift.Mixture) -> None:
    table = model.variables_
    for name in model.network_.names:
        own = table.filter(pl.col("variable") == name)
        whole = own.filter(pl.col("value") == "")["rate"][0]
        assert own.filter(pl.col("value") != "")["rate"].sum() == pytest.approx(whole)
        true = sum(weight for target, weight in truth.items() if name in target)
        assert whole == pytest.approx(true, abs=0.05)
        error = own.filter(pl.col("value") == "")["screen_std_error"][0]
        screened = own.filter(pl.col("value") == "")["screen_rate"][0]
        assert abs(screened - true) < 5 * error + 0.01


def test_a_changed_mechanism_that_is_no_intervention_is_noticed() -> None:
    chain = dosift.Network.from_tables(
        {"a": ["0", "1"], "b": ["0", "1"]},
        {"b": ["a"]},
        {"a": [0.5, 0.5], "b": [[0.9, 0.1], [0.1, 0.9]]},
    )
    turned = chain.with_tables([chain.tables[0], chain.tables[1][::-1]])
    rows = dosift.simulate(turned, dosift.Mixture({dosift.do(): 1.0}), 5000, random_state=0)
    with pytest.warns(MisfitWarning, match="mechanism of b"):
        model = dosift.InterventionMixture(chain, max_size=1).fit(rows)
    assert not model.fit_check_.fits


@pytest.mark.parametrize("seeds", [8, pytest.param(20, marks=pytest.mark.slow)])
def test_false_alarms_of_the_fit_check_are_rare(seeds: int) -> None:
    alarms = 0
    for seed in range(seeds):
        network = dosift.random_network(4, random_state=seed)
        truth = dosift.random_mixture(network, 3, random_state=seed + 50)
        rows = dosift.simulate(network, truth, 4000, random_state=seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", MisfitWarning)
            alarms += not dosift.InterventionMixture(network).fit(rows).fit_check_.fits
    assert alarms <= 1


def test_samples_of_the_fit_look_like_the_rows(
    model: dosift.InterventionMixture, rows: pl.DataFrame
) -> None:
    drawn = model.sample(8000, random_state=0)
    assert drawn.columns == rows.columns
    assert drawn.equals(model.sample(8000, random_state=0))
    for name in rows.columns:
        gap = (rows[name] == "0").mean() - (drawn[name] == "0").mean()  # type: ignore[operator]
        assert abs(gap) < 0.04


def test_order_of_rows_leaves_no_trace(
    model: dosift.InterventionMixture, network: dosift.Network, rows: pl.DataFrame
) -> None:
    order = np.random.default_rng(0).permutation(len(rows))
    again = dosift.InterventionMixture(network).fit(rows[order])
    assert again.targets_ == model.targets_
    assert again.weights_.tobytes() == model.weights_.tobytes()
    assert again.components_.equals(model.components_)
    assert again.variables_.equals(model.variables_)
    assert again.fit_check_ == model.fit_check_
    assert (again.predict_proba(rows)[order] == model.predict_proba(rows[order])).all()


def test_arrays_of_codes_and_names_give_the_same_fit(
    model: dosift.InterventionMixture, network: dosift.Network, rows: pl.DataFrame
) -> None:
    codes = np.stack(
        [
            rows[v.name].replace_strict({s: k for k, s in enumerate(v.states)}).to_numpy()
            for v in network.variables
        ],
        axis=1,
    )
    again = dosift.InterventionMixture(network).fit(codes)
    assert again.mixture_ == model.mixture_
    assert (again.predict(codes) == model.predict(rows)).all()


def test_a_fitted_model_survives_pickling(
    model: dosift.InterventionMixture, rows: pl.DataFrame
) -> None:
    copy = pickle.loads(pickle.dumps(model))
    assert copy.mixture_ == model.mixture_
    assert (copy.predict_proba(rows) == model.predict_proba(rows)).all()


@pytest.mark.filterwarnings("ignore::dosift.errors.MisfitWarning")
def test_cloning_and_fitting_again_forgets_the_fit(
    model: dosift.InterventionMixture, network: dosift.Network, rows: pl.DataFrame
) -> None:
    copy = clone(model)
    assert copy.get_params().keys() == model.get_params().keys()
    with pytest.raises(NotFittedError):
        copy.summary()
    refitted = dosift.InterventionMixture(network, max_size=1)
    refitted.fit(rows.head(50)).fit(rows)
    once = dosift.InterventionMixture(network, max_size=1).fit(rows)
    assert refitted.mixture_ == once.mixture_
    assert all(target.size <= 1 for target in refitted.targets_)


@pytest.mark.parametrize(
    "method", ["predict", "predict_proba", "surprise", "score", "assign", "sample", "summary"]
)
def test_every_method_of_an_unfitted_model_says_so(
    method: str, network: dosift.Network, rows: pl.DataFrame
) -> None:
    arguments = [] if method in ("sample", "summary") else [rows]
    with pytest.raises(NotFittedError, match="call fit"):
        getattr(dosift.InterventionMixture(network), method)(*arguments)


@pytest.mark.parametrize(
    "weight", [np.zeros(50), np.full(50, np.nan), np.full(50, np.inf), np.ones((50, 1)), 1.0]
)
def test_weights_that_are_none(
    weight: object, model: dosift.InterventionMixture, rows: pl.DataFrame
) -> None:
    with pytest.raises(InputError, match="sample_weight"):
        clone(model).fit(rows.head(50), sample_weight=weight)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="sample_weight"):
        model.score(rows.head(50), sample_weight=weight)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "arguments",
    [
        {"max_size": "two"},
        {"max_size": [1]},
        {"max_size": float("nan")},
        {"max_size": float("inf")},
        {"gap_tolerance": "small"},
        {"gap_tolerance": None},
    ],
)
def test_arguments_of_a_wrong_type_are_refused(
    arguments: dict[str, object], network: dosift.Network, rows: pl.DataFrame
) -> None:
    with pytest.raises(InputError, match=next(iter(arguments))):
        dosift.InterventionMixture(network, **arguments).fit(rows)  # type: ignore[arg-type]


def test_weights_that_are_no_numbers(network: dosift.Network, rows: pl.DataFrame) -> None:
    with pytest.raises(InputError, match="sample_weight"):
        dosift.InterventionMixture(network).fit(rows.head(3), sample_weight=["a", "b", "c"])


def test_a_row_that_cannot_occur_has_no_posterior() -> None:
    network = dosift.Network.from_tables(
        {"a": ["0", "1"], "b": ["0", "1"]}, {}, {"a": [1.0, 0.0], "b": [0.5, 0.5]}
    )
    possible = {"a": ["0"] * 100, "b": ["0", "1"] * 50}
    model = dosift.InterventionMixture(network).fit(possible)
    assert model.impossible_rows_ == 0
    mixed = {"a": ["0", "1"], "b": ["0", "0"]}
    assert model.predict(mixed).tolist() == ["do()", None]
    assert np.isnan(model.predict_proba(mixed)[1]).all()
    assert model.predict_proba(mixed)[0].tolist() == [1.0]
    assert model.surprise(mixed).tolist() == pytest.approx([np.log(2), np.inf])
    assert np.isneginf(model.score(mixed))


@pytest.mark.long
def test_recovery_of_random_problems_through_names() -> None:
    scores = []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        network = dosift.random_network(4 + seed % 3, random_state=rng)
        truth = dosift.random_mixture(network, 4, random_state=rng)
        rows = dosift.simulate(network, truth, 2**14, random_state=rng)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", MisfitWarning)
            model = dosift.InterventionMixture(network).fit(rows)
        assert model.converged_
        scores.append(dosift.evaluate(truth, model.mixture_))
    assert np.mean([s.recall for s in scores]) >= 0.95
    assert np.mean([s.precision for s in scores]) >= 0.95
