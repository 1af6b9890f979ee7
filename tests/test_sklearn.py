"""scikit-learn's own checks, and use inside its tools; dosift itself never imports it."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn.exceptions
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OrdinalEncoder
from sklearn.utils.estimator_checks import parametrize_with_checks

import dosift
from dosift.errors import InputError, NotFittedError
from dosift.model.network import Network, Variable


def independent(n_variables: int, n_states: int) -> Network:
    states = tuple(map(str, range(n_states)))
    return Network(
        [Variable(f"x{j}", states) for j in range(n_variables)],
        [[]] * n_variables,
        [np.full((1, n_states), 1 / n_states)] * n_variables,
    )


class AnyShape(dosift.InterventionMixture):
    """With a network made for the array at hand, and components by number.

    The checks come with arrays of many widths, each of which needs a network of its own, and
    compare predictions by subtraction, which the names of interventions do not allow.
    """

    def fit(self, rows: Any, y: object = None, **keywords: Any) -> AnyShape:
        array = np.asarray(rows) if not isinstance(rows, pd.DataFrame) else rows.to_numpy()
        given = self.network
        if array.ndim == 2 and array.size and array.dtype.kind in "iuf":
            largest = array[np.isfinite(array)].max(initial=0)
            self.network = independent(array.shape[1], int(largest) + 2)
        try:
            super().fit(rows, y, **keywords)
        finally:
            self.network = given
        return self

    def predict(self, rows: Any) -> Any:
        return self.predict_proba(rows).argmax(axis=1)


#: Checks that cannot pass, and why.
ALWAYS = {
    "check_positive_only_tag_during_fit": "the only negative code, -1, is a missing value",
    "check_dtype_object": "what is no number is an InputError, which is a ValueError, no TypeError",
}
OTHER_WIDTH = "the check's array has other columns than the variables of the network"
NOT_CODES = "the check's array holds measurements, not codes of states"
FIXED_NETWORK = {
    **dict.fromkeys(
        [
            "check_estimators_overwrite_params",
            "check_estimators_fit_returns_self",
            "check_readonly_memmap_input",
            "check_n_features_in_after_fitting",
            "check_estimators_dtypes",
            "check_sample_weights_pandas_series",
            "check_sample_weights_not_an_array",
            "check_all_zero_sample_weights_error",
            "check_sample_weights_shape",
            "check_sample_weights_not_overwritten",
            "check_fit2d_1feature",
            "check_fit2d_1sample",
            "check_fit_idempotent",
            "check_fit_check_is_fitted",
            "check_n_features_in",
        ],
        OTHER_WIDTH,
    ),
    "check_sample_weight_equivalence_on_dense_data": NOT_CODES,
    **dict.fromkeys(
        [
            "check_estimators_pickle",
            "check_methods_sample_order_invariance",
            "check_methods_subset_invariance",
        ],
        "the check subtracts predictions; ours are names of interventions",
    ),
}


def reasons(estimator: object) -> dict[str, str]:
    if isinstance(estimator, dosift.Discretizer):
        return {"check_dtype_object": ALWAYS["check_dtype_object"]}
    if isinstance(estimator, AnyShape):
        return {**ALWAYS, "check_fit_non_negative": "the same: -1 is a missing value"}
    return {**ALWAYS, **FIXED_NETWORK}


@pytest.mark.filterwarnings("ignore::dosift.errors.DosiftWarning")
@parametrize_with_checks(
    [
        AnyShape(independent(1, 2), max_size=1),
        dosift.InterventionMixture(independent(3, 16), max_size=1),
        dosift.Discretizer(2),
    ],
    expected_failed_checks=reasons,
)
def test_checks_of_scikit_learn(
    estimator: Any, check: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The fit check draws fewer rows, since nothing here is about it.
    monkeypatch.setattr("dosift.estimator._CHECK_ROWS", 500, raising=False)
    check(estimator)


NAMES = ["a", "b", "c"]


@pytest.fixture(scope="module")
def network() -> Network:
    strong = [[0.8, 0.2], [0.25, 0.75]]
    return Network.from_tables(
        {name: ["low", "high"] for name in NAMES},
        {"b": ["a"], "c": ["b"]},
        {"a": [[0.5, 0.5]], "b": strong, "c": strong},
    )


@pytest.fixture(scope="module")
def truth() -> dosift.Mixture:
    return dosift.Mixture({dosift.do(): 0.5, dosift.do(b="high", c="low"): 0.5})


@pytest.fixture(scope="module")
def rows(network: Network, truth: dosift.Mixture) -> pd.DataFrame:
    return dosift.simulate(network, truth, 3000, 0).to_pandas()


def measured(rows: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Lay log-normal measurements over states."""
    rng = np.random.default_rng(seed)
    values = np.exp(rng.normal(np.where(rows == "high", 4.0, 1.0), 0.5))
    return pd.DataFrame(values, columns=NAMES)


def test_pipeline_with_thresholds_from_control(
    network: Network, truth: dosift.Mixture, rows: pd.DataFrame
) -> None:
    control = dosift.simulate(network, dosift.Mixture({dosift.do(): 1.0}), 2000, 1).to_pandas()
    cut = dosift.Discretizer(2, method="kmeans", log=True).fit(measured(control, 2))
    pipeline = Pipeline(
        [("states", FrozenEstimator(cut)), ("mixture", dosift.InterventionMixture(network))]
    )
    values = measured(rows, 3)
    pipeline.fit(values)
    found = pipeline["mixture"].mixture_
    assert dosift.evaluate(truth, found).recall == 1.0
    labels = pipeline.predict(values)
    assert labels.shape == (3000,)
    assert set(labels) <= {str(t) for t in found}
    assert pipeline.predict_proba(values).shape == (3000, len(found))
    assert pipeline.score(values) == pytest.approx(pipeline["mixture"].score(cut.transform(values)))
    thresholds = pipeline["states"].estimator.thresholds_
    assert np.array_equal(thresholds["a"], cut.thresholds_["a"]), "fitting the pipeline keeps them"
    assert clone(pipeline)["states"].estimator is cut


def test_pipeline_of_arrays(network: Network, rows: pd.DataFrame) -> None:
    encoder = OrdinalEncoder(categories=[["low", "high"]] * 3)
    pipeline = make_pipeline(encoder, dosift.InterventionMixture(network)).fit(rows)
    direct = dosift.InterventionMixture(network).fit(rows)
    assert pipeline[-1].mixture_ == direct.mixture_


@pytest.mark.filterwarnings("ignore::dosift.errors.MisfitWarning")  # of max_size=1
def test_grid_search_and_cross_validation(network: Network, rows: pd.DataFrame) -> None:
    folds = KFold(3)
    search = GridSearchCV(
        dosift.InterventionMixture(network), {"max_size": [1, 2]}, cv=folds, error_score="raise"
    ).fit(rows)
    assert search.best_params_ == {"max_size": 2}
    assert search.best_estimator_.mixture_.keys() == {
        dosift.do(),
        dosift.do(b="high", c="low"),
    }
    scores = cross_val_score(dosift.InterventionMixture(network, max_size=2), rows, cv=folds)
    np.testing.assert_allclose(scores.mean(), search.best_score_)
    assert (scores < 0).all()


@pytest.mark.filterwarnings("ignore::dosift.errors.MisfitWarning")  # two rows tell nothing
def test_a_refit_may_have_another_network(network: Network) -> None:
    model = dosift.InterventionMixture(independent(2, 2)).fit(np.eye(2, dtype=int))
    model.set_params(network=network)
    codes = np.random.default_rng(0).integers(0, 2, (50, 3))
    assert model.fit(codes).n_features_in_ == 3
    with pytest.raises(InputError, match=r"X has 2 features, but .* is expecting 3 features"):
        model.predict(codes[:, :2])


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.full((2, 3), 0.5), "such as 0.5 in row 1, column 1"),
        (np.full((2, 3), np.nan), "NaN or infinity"),
        (np.full((2, 3), 1e300), "integer state codes"),
        (np.zeros(3), "Reshape your data"),
        (np.zeros((2, 3), dtype=complex), "Complex data not supported"),
        (np.zeros((2, 0)), r"0 feature\(s\)"),
        ([["low", "high", "low"]], "must hold integer state codes|state codes"),
    ],
)
def test_arrays_that_hold_no_codes(network: Network, array: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        dosift.InterventionMixture(network).fit(array)


def test_not_fitted_is_also_scikit_learns(network: Network) -> None:
    for error in (NotFittedError, sklearn.exceptions.NotFittedError):
        with pytest.raises(error, match=r"call fit\(rows\) first"):
            dosift.InterventionMixture(network).predict(np.zeros((1, 3), dtype=int))
        with pytest.raises(error, match=r"call fit\(control\) first"):
            dosift.Discretizer().transform({"a": [1.0]})


def test_set_params_changes_all_or_nothing(network: Network) -> None:
    model = dosift.InterventionMixture(network)
    with pytest.raises(InputError, match="no parameter 'size'"):
        model.set_params(max_size=3, size=1)
    assert model.max_size is None


def test_the_core_does_not_import_scikit_learn() -> None:
    code = (
        "import sys, numpy as np, dosift\n"
        "net = dosift.random_network(3, random_state=0)\n"
        "rows = dosift.simulate(net, dosift.Mixture({dosift.do(): 1.0}), 200, 0)\n"
        "dosift.InterventionMixture(net).fit(rows).predict(rows)\n"
        "dosift.Discretizer(2).fit({'a': [1.0, 2.0]})\n"
        "bad = {'sklearn', 'anndata', 'pandas', 'pyagrum', 'pgmpy'} & set(sys.modules)\n"
        "sys.exit(', '.join(bad) or 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_polars_goes_through_a_pipeline(network: Network, rows: pd.DataFrame) -> None:
    frame = pl.DataFrame(measured(rows, 3).to_dict("list"))
    cut = dosift.Discretizer(2, log=True).fit(frame)
    pipeline = make_pipeline(FrozenEstimator(cut), dosift.InterventionMixture(network))
    assert pipeline.fit(frame)[-1].n_rows_ == 3000
