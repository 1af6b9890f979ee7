"""The methods beside the search by likelihood: moments, EM, brute force."""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import polars as pl
import pytest

import dosift
from dosift.data import Encoded
from dosift.errors import InputError
from dosift.methods import METHODS, OPTIMISING
from dosift.methods.enumerated import EM_GAP, all_targets, count_targets
from dosift.model.simulate import sample_codes
from dosift.results.folder import distrust

SETTINGS = pytest.mark.filterwarnings("ignore::dosift.errors.MisfitWarning")


@pytest.fixture(scope="module")
def network() -> dosift.Network:
    return dosift.random_network(3, n_edges=2, random_state=1)


@pytest.fixture(scope="module")
def truth() -> dosift.Mixture:
    do = dosift.do
    return dosift.Mixture({do(): 0.5, do(V1="0"): 0.3, do(V1="0", V3="2"): 0.2})


@SETTINGS
@pytest.mark.parametrize("method", METHODS)
def test_every_method_finds_large_components_and_fills_every_attribute(
    method: str, network: dosift.Network, truth: dosift.Mixture
) -> None:
    rows = dosift.simulate(network, truth, 50_000, random_state=3)
    model = dosift.InterventionMixture(network, method=method).fit(rows)
    found = dict(zip(model.targets_, model.weights_, strict=True))
    # EM knows no exclusion, and ends between the many mixtures with the same distribution.
    if method != "em":
        assert sum(abs(found.get(t, 0.0) - truth[t]) for t in truth) < 0.15
    assert model.converged_
    assert model.optimality_gap_ >= 0
    assert np.isfinite(model.log_likelihood_)
    assert model.summary().shape[0] == len(model.targets_)
    assert model.predict_proba(rows.head(5)).shape == (5, len(model.targets_))
    assert (model.certificate_ is not None) == (method == "likelihood")


def test_moments_recover_from_frequencies_that_are_nearly_exact(
    network: dosift.Network, truth: dosift.Mixture
) -> None:
    rows = dosift.simulate(network, truth, 2_000_000, random_state=4)
    model = dosift.InterventionMixture(network, method="moments", epsilon=0.02).fit(rows)
    assert set(model.targets_) == set(truth)
    assert all(abs(model.mixture_[t] - truth[t]) < 0.02 for t in truth)


@SETTINGS
def test_epsilon_bounds_the_weights(network: dosift.Network, truth: dosift.Mixture) -> None:
    rows = dosift.simulate(network, truth, 500, random_state=5)
    small = dosift.InterventionMixture(network, method="moments", epsilon=1e-3).fit(rows)
    large = dosift.InterventionMixture(network, method="moments", epsilon=0.1).fit(rows)
    assert len(large.targets_) < len(small.targets_)
    assert small.weights_.sum() == pytest.approx(1)
    # Where none is as large, the largest stays.
    alone = dosift.InterventionMixture(network, method="moments", epsilon=0.6).fit(rows)
    assert alone.targets_ == [small.targets_[int(small.weights_.argmax())]]
    assert alone.weights_.tolist() == [1.0]


@SETTINGS
def test_delta_smooths_the_control_counts(truth: dosift.Mixture) -> None:
    network = dosift.random_network(3, n_edges=2, random_state=1)
    control = dosift.simulate(network, dosift.Mixture({dosift.do(): 1.0}), 40, random_state=6)
    learned = dosift.learn_network(network.edges, control)
    rows = dosift.simulate(network, truth, 400, random_state=7)
    default = dosift.InterventionMixture(learned, method="moments").fit(rows)
    same = dosift.InterventionMixture(learned, method="moments", delta=1 / 40).fit(rows)
    strong = dosift.InterventionMixture(learned, method="moments", delta=10).fit(rows)
    assert default.mixture_ == same.mixture_
    assert default.mixture_ != strong.mixture_
    tables = strong.network_.tables
    assert all(t.min() > 0.1 for t in tables)


def test_moments_need_positivity() -> None:
    network = dosift.Network.from_tables({"a": ["0", "1"]}, {}, {"a": [[1.0, 0.0]]})
    with pytest.raises(InputError, match=r"probability of a=1 is zero.*use method 'likelihood'"):
        dosift.InterventionMixture(network, method="moments").fit({"a": ["0", "0"]})


def test_moments_on_a_learned_network_need_a_positive_delta() -> None:
    control = pl.DataFrame({"a": ["0", "0", "1"], "b": ["0", "1", "0"]})
    network = dosift.learn_network([("a", "b")], control)
    with pytest.raises(InputError, match=r"b=1 given a=1 is zero.*delta is 0"):
        dosift.InterventionMixture(network, method="moments", delta=0).fit(control)


@pytest.mark.parametrize("method", ["em", "brute-force"])
def test_enumerations_that_do_not_fit_are_refused_before_memory_is_taken(method: str) -> None:
    network = dosift.random_network(30, n_edges=30, random_state=0)
    rows = dosift.simulate(network, dosift.Mixture({dosift.do(): 1.0}), 100, random_state=0)
    with pytest.raises(InputError, match=r"enumerates about 10\^18 targets .* GiB .* max_size"):
        dosift.InterventionMixture(network, method=method).fit(rows)


@pytest.mark.parametrize("method", ["em", "brute-force"])
def test_enumerations_beyond_the_range_of_floats_are_refused(method: str) -> None:
    network = dosift.random_network(2000, n_edges=10, random_state=0)
    with pytest.raises(InputError, match=r"about 10\^1204 targets .* about 10\^\d+ GiB"):
        dosift.InterventionMixture(network, method=method).fit(np.zeros((2, 2000), dtype=int))
    few = dosift.random_network(12, max_parents=2, random_state=0)
    with pytest.raises(InputError, match=r"enumerates 16,777,216 targets .* [\d,]+\.\d GiB"):
        dosift.InterventionMixture(few, method=method).fit(np.eye(12, dtype=int))


def test_moments_refuse_missing_values_in_words(network: dosift.Network) -> None:
    rows = Encoded(np.array([[0, -1, 1], [0, 1, 2]]), (), "numpy")
    with pytest.raises(
        InputError, match=r"moments and missing values cannot be combined: .*leave out the rows"
    ):
        dosift.InterventionMixture(network, method="moments").fit(rows)


@pytest.mark.parametrize("method", ["em", "brute-force"])
@pytest.mark.parametrize("blocks", [False, True])
def test_methods_that_enumerate_sum_over_missing_values(
    method: str, blocks: bool, network: dosift.Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights near those of the complete rows; those of em maximise the likelihood itself."""
    from dosift.data.blocks import MemoryBlocks

    do = dosift.do
    truth = dosift.Mixture({do(): 0.6, do(V1="1"): 0.25, do(V2="0"): 0.15})
    targets, weights = truth.to_codes(network)
    codes, _ = sample_codes(network, targets, weights, 6000, np.random.default_rng(4))
    holes = np.where(np.random.default_rng(5).random(codes.shape) < 0.1, -1, codes)
    if blocks:
        monkeypatch.setattr("dosift.data.sample.MOST_CONFIGURATIONS", 8)
    rows = MemoryBlocks(holes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dosift.errors.DosiftWarning)
        model = dosift.InterventionMixture(network, method=method, max_size=1).fit(rows)
    assert (model.n_configurations_ is None) == blocks
    # EM knows no exclusion, and ends between the many mixtures with the same distribution.
    for target, weight in truth.items() if method != "em" else ():
        found_weight = model.mixture_.get(target, 0.0)
        assert found_weight == pytest.approx(weight, abs=0.1)
    probability = np.zeros((len(holes), len(model.targets_)))
    found, own = model.mixture_.to_codes(network)
    for cell in itertools.product(*map(range, network.cardinalities)):
        agrees = ((holes == cell) | (holes < 0)).all(axis=1)
        for t, target in enumerate(found):
            p = 1.0
            for i in range(3):
                row = network.parent_rows(i, np.array([cell]))[0]
                p *= network.tables[i][row, cell[i]] if target[i] < 0 else target[i] == cell[i]
            probability[agrees, t] += p
    assert model.log_likelihood_ == pytest.approx(np.log(probability @ own).sum(), abs=1e-6)
    if method == "em":
        share = probability / (probability @ own)[:, None]
        # What better weights could gain is what the model says, and little.
        gap = share.mean(axis=0).max() - 1.0
        assert model.optimality_gap_ == pytest.approx(gap, abs=1e-9)
        assert gap < 2e-3


@pytest.mark.filterwarnings("ignore::dosift.errors.DosiftWarning")
@pytest.mark.parametrize("method", ["likelihood", "em", "brute-force"])
def test_rows_that_nothing_can_produce_are_counted(method: str) -> None:
    network = dosift.Network.from_tables(
        {"a": ["0", "1"], "b": ["0", "1"]}, {"b": ["a"]}, {"a": [[1, 0]], "b": [[0.5, 0.5], [1, 0]]}
    )
    model = dosift.InterventionMixture(network, method=method, max_size=1)
    model.fit({"a": ["1", "1"], "b": ["1", "1"]})
    assert model.impossible_rows_ == 2
    assert model.log_likelihood_ == -np.inf
    assert np.isfinite(model.optimality_gap_)
    assert np.isnan(model.predict_proba({"a": ["1"], "b": ["1"]})).all()


@SETTINGS
def test_em_counts_the_rows_that_only_dropped_targets_produce() -> None:
    network = dosift.random_network(4, random_state=2)
    mixture = dosift.random_mixture(network, 4, random_state=2)
    rows = dosift.simulate(network, mixture, 3000, random_state=1)
    model = dosift.InterventionMixture(network, method="em").fit(rows)
    assert model.weights_.min() >= model.epsilon
    assert model.impossible_rows_ > 0
    assert f"{model.impossible_rows_:g} row(s) have probability zero" in " ".join(distrust(model))
    whole = dosift.InterventionMixture(network, method="em", epsilon=0).fit(rows)
    assert whole.impossible_rows_ == 0
    assert np.isfinite(whole.log_likelihood_)


@SETTINGS
@pytest.mark.parametrize("method", METHODS)
def test_a_variable_with_one_state_is_never_set(method: str) -> None:
    network = dosift.Network.from_tables(
        {"a": ["x"], "b": ["0", "1"]}, {}, {"a": [[1.0]], "b": [[0.5, 0.5]]}
    )
    model = dosift.InterventionMixture(network, method=method)
    model.fit({"a": ["x"] * 4, "b": ["0", "0", "0", "1"]})
    assert all("a" not in target for target in model.targets_)


def test_options_that_a_method_would_not_heed_are_refused(network: dosift.Network) -> None:
    with pytest.raises(InputError, match="'moments' knows no max_size"):
        dosift.InterventionMixture(network, method="moments", max_size=2).fit({})
    with pytest.raises(InputError, match="delta belongs to method 'moments', not to 'em'"):
        dosift.InterventionMixture(network, method="em", delta=0.1).fit({})


@pytest.mark.parametrize("method", METHODS)
def test_standard_errors_belong_to_maximum_likelihood(
    method: str, network: dosift.Network, truth: dosift.Mixture
) -> None:
    rows = dosift.simulate(network, truth, 2_000, random_state=3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dosift.errors.MisfitWarning)
        model = dosift.InterventionMixture(network, method=method).fit(rows)
    for table in (model.components_, model.variables_):
        for name in ("std_error", "ci_low", "ci_high"):
            known = np.isfinite(table[name].to_numpy())
            assert known.all() if method in OPTIMISING else not known.any()


def test_misfit_of_a_method_is_not_blamed_on_the_network() -> None:
    network = dosift.random_network(4, random_state=2)
    mixture = dosift.random_mixture(network, 4, random_state=2)
    rows = dosift.simulate(network, mixture, 3000, random_state=1)
    with pytest.warns(dosift.errors.MisfitWarning, match="whether method 'likelihood' describes"):
        model = dosift.InterventionMixture(network, method="moments").fit(rows)
    assert model.converged_
    assert model.optimality_gap_ > 1e-3
    assert "method 'moments' does not maximise" in " ".join(distrust(model))
    assert dosift.InterventionMixture(network).fit(rows).fit_check_.fits


def test_brute_force_refuses_what_would_take_hours() -> None:
    network = dosift.random_network(7, n_edges=8, random_state=0)
    rows = dosift.simulate(network, dosift.Mixture({dosift.do(): 1.0}), 100, random_state=0)
    with pytest.raises(InputError, match=r"takes about 1\.1 hours"):
        dosift.InterventionMixture(network, method="brute-force").fit(rows)


@SETTINGS
def test_em_ends_near_the_maximum(network: dosift.Network, truth: dosift.Mixture) -> None:
    rows = dosift.simulate(network, truth, 5_000, random_state=8)
    em = dosift.InterventionMixture(network, method="em", max_size=2).fit(rows)
    assert em.optimality_gap_ <= EM_GAP
    assert max(t.size for t in em.targets_) <= 2
    best = dosift.InterventionMixture(network).fit(rows)
    assert em.log_likelihood_ > best.log_likelihood_ - 5


def test_all_targets_are_listed_once() -> None:
    sizes = np.array([2, 3, 2])
    targets = all_targets(sizes)
    assert len(targets) == 3 * 4 * 3 == count_targets(sizes)
    assert len(np.unique(targets, axis=0)) == len(targets)
    for size in range(4):
        assert (all_targets(sizes, size) >= 0).sum(axis=1).max() == size
        assert len(all_targets(sizes, size)) == count_targets(sizes, size)


@pytest.mark.parametrize(
    ("name", "value"), [("epsilon", 1.0), ("epsilon", "x"), ("delta", -1), ("method", "magic")]
)
def test_parameters_out_of_range_are_refused(
    network: dosift.Network, name: str, value: object
) -> None:
    with pytest.raises(InputError, match=name):
        dosift.InterventionMixture(network, **{name: value}).fit({})
