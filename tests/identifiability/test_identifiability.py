"""Identifiability: the theorems against linear programs and brute force, and hostile input."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import dosift
from dosift import identifiability
from dosift.errors import InputError
from dosift.identifiability import (
    critical_rows,
    difference,
    exclusion,
    identified,
    is_unique,
    parsimonious,
    positivity,
    verdict,
    witness,
)
from dosift.identifiability.excluded import mixture_codes
from dosift.identifiability.largest import largest_weight
from dosift.identifiability.parsimony import least_size
from dosift.identifiability.programs import weight_interval
from dosift.identifiability.support import possible_states
from dosift.identifiability.system import (
    Scope,
    build_system,
    enumerate_targets,
    mixture_cells,
    on_scope,
    target_entries,
)
from dosift.model import Mixture, Network, do
from dosift.model.evaluation import evaluate
from dosift.model.random_problems import random_mixture, random_network


def coin(p0: float = 0.5) -> Network:
    return Network.from_tables({"V": "01"}, {}, {"V": [p0, 1 - p0]})


def sparse_network(n: int, k: int, seed: int, share: float = 0.35) -> Network:
    """A random network with many zeros, each row keeping at least one state."""
    rng = np.random.default_rng(seed)
    network = random_network(n, n_states=k, random_state=seed, shuffle=True)
    tables = []
    for table in network.tables:
        zero = rng.random(table.shape) < share
        zero[np.arange(len(table)), rng.integers(table.shape[1], size=len(table))] = False
        kept = np.where(zero, 0.0, table)
        tables.append(kept / kept.sum(axis=1, keepdims=True))
    return network.with_tables(tables)


def all_scope(network: Network, max_size: int | None = None) -> Scope:
    return Scope(network.order, network.order, "all", max_size)


def cells_of(network: Network, mixture: Mixture) -> tuple[Scope, np.ndarray]:
    scope = all_scope(network)
    codes, weights = mixture_codes(network, mixture)
    return scope, mixture_cells(network, scope, on_scope(scope, codes), weights)


def brute_force(network: Network, mixture: Mixture) -> np.ndarray:
    """P_mix by the definition, one state of all variables at a time."""
    codes, weights = mixture.to_codes(network)
    shape = tuple(network.cardinalities)
    out = np.zeros(shape)
    for v in itertools.product(*(range(k) for k in shape)):
        row = np.array([v])
        for target, weight in zip(codes, weights, strict=True):
            p = weight
            for i in range(network.n_variables):
                if target[i] >= 0:
                    p *= float(v[i] == target[i])
                else:
                    p *= network.tables[i][network.parent_rows(i, row)[0], v[i]]
            out[v] += p
    return out


def test_module_is_an_attribute_of_the_package() -> None:
    assert dosift.identifiability is identifiability


@pytest.mark.parametrize("seed", range(4))
def test_cells_are_the_distribution(seed: int) -> None:
    network = sparse_network(3, 3, seed)
    mixture = random_mixture(network, 4, random_state=seed)
    _, cells = cells_of(network, mixture)
    expected = brute_force(network, mixture).transpose(network.order).ravel()
    np.testing.assert_allclose(cells, expected, atol=1e-15)


def test_targets_are_counted_and_enumerated() -> None:
    network = random_network(4, n_states=3, random_state=0)
    for most in (None, 1, 2, 4):
        scope = all_scope(network, most)
        targets = enumerate_targets(network, scope)
        assert len(np.unique(targets, axis=0)) == len(targets) == scope.n_targets(network)
        entries = target_entries(network, scope, targets)
        assert entries.value.size == scope.n_nonzeros(network)
        np.testing.assert_allclose(np.bincount(entries.target, entries.value), 1.0)


@pytest.mark.parametrize("seed", range(24))
def test_parsimonious_mixture_is_the_exclusion_mixture(seed: int) -> None:
    """Theorem 2: the excluded states are not given, and come out."""
    network = random_network(2 + seed % 4, n_states=2 + seed % 3 % 2, random_state=seed)
    truth = random_mixture(network, 6, random_state=seed)
    found = parsimonious(network, truth)
    assert evaluate(truth, found).tv < 1e-9
    by_table = parsimonious(network, brute_force(network, truth)) if seed < 6 else found
    assert evaluate(truth, by_table).tv < 1e-9


@pytest.mark.slow
def test_parsimonious_mixture_on_many_problems() -> None:
    for seed in range(1000, 1600):
        network = random_network(2 + seed % 4, n_states=2 + seed % 2, random_state=seed)
        truth = random_mixture(network, 8, random_state=seed)
        assert evaluate(truth, parsimonious(network, truth)).tv < 1e-8


def test_conditions_with_zeros_imply_a_unique_parsimonious_mixture() -> None:
    """Theorem 2 where tables have zeros; and that it is not an empty statement."""
    n_hold = n_fail = n_not = 0
    for seed in range(60):
        network = sparse_network(2 + seed % 3, 3 if seed % 3 < 2 else 2, seed)
        mixture = random_mixture(network, 4, random_state=seed)
        scope, cells = cells_of(network, mixture)
        least = least_size(network, scope, cells)
        is_least = evaluate(mixture, least.mixture(network)).tv < 1e-6
        if verdict(network, mixture)["status"] == "identified":
            n_hold += 1
            assert is_least
            assert least.is_unique
        else:
            n_fail += 1
            n_not += not (is_least and least.is_unique)
    assert n_hold >= 10
    assert n_not >= 10


@pytest.mark.parametrize("seed", range(8))
def test_intervals_in_closed_form_agree_with_linear_programs(seed: int) -> None:
    network = random_network(3, n_states=2, random_state=seed)
    mixture = random_mixture(network, 4, exclusion=bool(seed % 2), random_state=seed)
    scope, cells = cells_of(network, mixture)
    system = build_system(network, scope, cells)
    for found in identified(network, mixture).ranges:
        codes, _ = Mixture({found.target: 1.0}).to_codes(network)
        column = int(system.positions(on_scope(scope, codes))[0])
        np.testing.assert_allclose(found.any, weight_interval(system, column), atol=1e-7)
        low, high = found.parsimonious
        assert found.any[0] - 1e-6 <= low <= high <= found.any[1] + 1e-6
        if found.weight and found.target in identified(network, mixture).parsimonious:
            assert found.any[0] - 1e-9 <= found.weight <= found.any[1] + 1e-9


def test_unique_mixtures_by_theorem_and_by_linear_program() -> None:
    """Theorem 1: unique among all mixtures if and only if every interval is a point."""
    seen = set()
    for seed in range(60):
        network = (
            sparse_network(2, 2 + seed % 2, seed)
            if seed % 2
            else random_network(2, n_states=2 + seed % 3 // 2, random_state=seed)
        )
        rng = np.random.default_rng(seed)
        full = {do({n: str(rng.integers(2)) for n in network.names}) for _ in range(3)}
        mixture = Mixture({t: 1 / len(full) for t in full})
        codes, _ = mixture_codes(network, mixture)
        scope, cells = cells_of(network, mixture)
        system = build_system(network, scope, cells)
        ranges = [weight_interval(system, j) for j in range(system.bound.size)]
        by_program = max(high - low for low, high in ranges) < 1e-7
        assert is_unique(network, codes) == by_program
        assert (witness(network, mixture) is None) == by_program
        seen.add(by_program)
    assert seen == {True, False}


@pytest.mark.parametrize("seed", range(6))
def test_witness_reproduces_the_distribution_and_differs(seed: int) -> None:
    network = random_network(3, n_states=3, random_state=seed, shuffle=True)
    mixture = random_mixture(network, 5, max_size=2, random_state=seed)
    found = witness(network, mixture)
    assert found is not None
    gap = np.abs(brute_force(network, mixture) - brute_force(network, found.mixture)).max()
    assert gap < 1e-9
    assert found.error is not None
    assert found.error < 1e-9
    assert found.distance > 0.9  # every target here can give way to larger ones
    change = mixture.targets[0]
    other = witness(network, mixture, change=change, max_size=2)
    if other is not None:
        assert max(t.size for t in other.mixture) <= 2
        assert abs(other.mixture.get(change, 0.0) - mixture[change]) <= other.distance
        assert difference(network, mixture, other.mixture) < 1e-9


def test_witness_of_wide_network_splits_one_target() -> None:
    network = random_network(300, n_states=3, n_edges=400, max_parents=3, random_state=0)
    mixture = random_mixture(network, 6, max_size=3, random_state=0)
    found = witness(network, mixture)
    assert found is not None
    assert found.error is None or found.error < 1e-9
    assert found.distance > 0.01
    assert len(found.mixture) == len(mixture) + 2


@pytest.mark.parametrize("seed", range(12))
def test_largest_weights_of_wide_networks_agree_with_enumeration(seed: int) -> None:
    network = random_network(5, n_states=2 + seed % 2, n_edges=3 + seed % 4, random_state=seed)
    mixture = random_mixture(network, 5, max_size=3, random_state=seed)
    codes, weights = mixture_codes(network, mixture)
    scope, cells = cells_of(network, mixture)
    system = build_system(network, scope, cells)
    bounds = system.bound[system.positions(on_scope(scope, codes))]
    short = [largest_weight(network, codes, weights, target) for target in codes]
    np.testing.assert_allclose(short, bounds, rtol=1e-12)


def test_largest_weights_with_zeros_agree_with_enumeration() -> None:
    n_known = 0
    for seed in range(40):
        network = sparse_network(4, 2 + seed % 2, seed, share=0.3)
        mixture = random_mixture(network, 3, max_size=2, random_state=seed)
        codes, weights = mixture_codes(network, mixture)
        scope, cells = cells_of(network, mixture)
        system = build_system(network, scope, cells)
        bounds = system.bound[system.positions(on_scope(scope, codes))]
        for target, bound in zip(codes, bounds, strict=True):
            short = largest_weight(network, codes, weights, target)
            assert short is None or short == pytest.approx(bound, rel=1e-12)
            n_known += short is not None
    assert n_known > 60


def test_ranges_of_a_wide_network() -> None:
    network = random_network(300, n_states=3, n_edges=400, max_parents=3, random_state=0)
    found = identified(network, random_mixture(network, 10, max_size=3, random_state=0))
    for one in found.ranges:
        assert one.parsimonious == (one.weight, one.weight)
        assert one.any[0] == 0.0
        assert one.any[1] is not None
        assert one.weight <= one.any[1] <= 1.0


def test_limit_on_the_size_of_targets_can_make_a_mixture_unique() -> None:
    network = random_network(3, n_states=3, random_state=1)
    mixture = Mixture({do(V1=0): 0.5, do(V2=1): 0.3, do(V3=2): 0.2})
    found = identified(network, mixture, max_size=1)
    for weight in found.ranges:
        np.testing.assert_allclose(weight.any, weight.weight, atol=1e-6)
    assert found.witness is None
    assert all(w.any == (0.0, w.any[1]) for w in identified(network, mixture).ranges)


def test_support_by_elimination_is_the_support_by_enumeration() -> None:
    for seed in range(30):
        network = sparse_network(5, 2, seed, share=0.5)
        rng = np.random.default_rng(seed)
        fixed = {int(rng.integers(5)): int(rng.integers(2))}
        keep = [i for i in rng.permutation(5)[:3].tolist() if i not in fixed]
        target = do({network.names[i]: str(a) for i, a in fixed.items()})
        joint = brute_force(network, Mixture({target: 1.0})) > 0
        others = tuple(i for i in range(5) if i not in keep)
        ordered = sorted(keep)
        expected = joint.any(axis=others).transpose([ordered.index(i) for i in keep])
        np.testing.assert_array_equal(possible_states(network, keep, fixed=fixed), expected)
    assert possible_states(random_network(9, random_state=0), range(9), max_entries=100) is None


def test_order_of_variables_does_not_matter() -> None:
    network = random_network(4, n_states=2, random_state=3)
    truth = random_mixture(network, 5, exclusion=False, random_state=3)
    names = list(network.names)[::-1]
    flipped = Network.from_tables(
        {n: network.variables[network.positions[n]].states for n in names},
        {n: [network.names[p] for p in network.parents[network.positions[n]]] for n in names},
        {n: network.tables[network.positions[n]] for n in names},
    )
    one, two = identified(network, truth), identified(flipped, truth)
    assert one.status == two.status
    for a, b in zip(one.ranges[: len(truth)], two.ranges[: len(truth)], strict=True):
        assert a.target == b.target
        np.testing.assert_allclose(a.any, b.any, atol=1e-9)
    assert identified(network, truth) == identified(network, truth)


# Positivity and exclusion.


def test_positivity_counts_and_names() -> None:
    network = Network.from_tables(
        {"a": ["x", "y"], "b": ["0", "1", "2"]},
        {"b": ["a"]},
        {"a": [[0.5, 0.5]], "b": [[0.5, 0.5, 0], [1, 0, 0]]},
    )
    found = positivity(network)
    assert (found.n_entries, found.n_zeros, found.smallest) == (8, 3, 0.5)
    (b,) = found.variables
    assert (b.n_rows_with_zeros, b.n_deterministic, b.always_possible) == (2, 1, ("0",))
    assert found.first[1].parents == {"a": "y"}
    assert not found.holds
    assert positivity(coin()).holds


def test_zeros_matter_only_where_they_can_be_met() -> None:
    network = Network.from_tables(
        {"a": "01", "b": "01", "c": "01"},
        {"b": ["a"], "c": ["b"]},
        {"a": [0.5, 0.5], "b": [[1, 0], [1, 0]], "c": [[0.5, 0.5], [0, 1]]},
    )
    # b=1 never occurs by itself, so c's zeros are never met ...
    assert critical_rows(network, Mixture({do(): 0.5, do(c=1): 0.5})).rows == ()
    # ... unless an intervention brings b=1 about.
    found = critical_rows(network, Mixture({do(b=1): 0.5, do(c=1): 0.5}))
    assert found.rows == ((2, 1),)
    # Setting c to its other state is seen at once.
    assert critical_rows(network, Mixture({do(b=1): 0.5, do(c=0): 0.5})).rows == ()
    # Zeros of variables that nothing sets never matter.
    assert critical_rows(network, Mixture({do(a=1): 0.5, do(): 0.5})).rows == ()
    # Too little room to find out: said, not guessed.
    short = critical_rows(network, Mixture({do(): 0.5, do(c=1): 0.5}), max_entries=1)
    assert short.undecided == ((2, 1),)


def test_exclusion_names_states() -> None:
    network = random_network(3, n_states=3, random_state=0)
    mixture = Mixture({do(V1=0): 0.3, do(V1=1, V2=0): 0.3, do(V2=1): 0.3, do(V2=2): 0.1})
    found = exclusion(network, mixture)
    assert found.violated == ("V2",)
    assert found.variables[0].excluded == ("2",)
    assert found.to_dict()["n_never_set"] == 1
    silent = Mixture({do(V1=0): 0.5, do(V1=1): 0.5, do(V1=2): 0.0})
    assert exclusion(network, silent).holds


def test_single_state_variable() -> None:
    network = Network.from_tables({"a": ["only"], "b": "01"}, {}, {"a": [1.0], "b": [0.5, 0.5]})
    nothing = Mixture({do(): 1.0})
    assert identified(network, nothing).status == "identified"
    found = identified(network, Mixture({do(a="only"): 1.0}))
    assert found.status == "not identified"
    assert found.parsimonious is not None
    assert found.parsimonious.targets == (do(),)


# Hostile input.


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ([0.5, 0.5, 0.0], "shape"),
        ([0.5, 0.4], "sums to 0.9"),
        ([1.5, -0.5], "not a probability"),
        ([np.nan, 1.0], "not a probability"),
        ("half", "neither"),
        ([["a", "b"]], "neither"),
    ],
)
def test_tables_that_are_none(table: object, words: str) -> None:
    with pytest.raises(InputError, match=words):
        parsimonious(coin(), table)  # type: ignore[arg-type]


def test_wrong_arguments() -> None:
    mixture = Mixture({do(V=0): 1.0})
    with pytest.raises(InputError, match="did you mean 'V'"):
        verdict(coin(), Mixture({do(v=0): 1.0}))
    with pytest.raises(InputError, match="not one of its states"):
        identified(coin(), Mixture({do(V=7): 1.0}))
    with pytest.raises(InputError, match="Network is needed"):
        positivity("net.bif")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="Network and a Mixture"):
        verdict(coin(), {"do": {}})  # type: ignore[arg-type]
    for bad in (0, -1, True, 1.5, "2"):
        with pytest.raises(InputError, match="max_size"):
            identified(coin(), mixture, max_size=bad)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="no weight in the mixture"):
        witness(coin(), mixture, change=do(V=1))
    network = random_network(3, random_state=0)
    with pytest.raises(InputError, match="more than the largest size"):
        identified(network, Mixture({do(V1=0, V2=0): 1.0}), max_size=1)
    with pytest.raises(InputError, match="no mixture of targets"):
        parsimonious(network, Mixture({do(V1=0, V2=0, V3=0): 1.0}), max_size=1)
    wide = random_network(40, n_edges=60, max_parents=3, random_state=0)
    with pytest.raises(InputError, match="limit max_size"):
        parsimonious(wide, random_mixture(wide, 8, random_state=0))
    with pytest.raises(InputError, match="entries"):
        parsimonious(wide, np.ones(3))


def test_tiny_probabilities_and_weights() -> None:
    network = Network.from_tables(
        {"a": "01", "b": "01"}, {"b": ["a"]}, {"a": [1 - 1e-9, 1e-9], "b": [[1e-7, 1 - 1e-7]] * 2}
    )
    mixture = Mixture({do(): 0.7, do(b=0): 0.2, do(a=1): 0.1})
    assert evaluate(mixture, parsimonious(network, mixture)).tv < 1e-6
    rare = Mixture({do(): 1 - 1e-12, do(b=0): 1e-12})
    assert identified(network, rare).status == "identified"


# Real networks.


@pytest.fixture(scope="module")
def real() -> dict[str, Network]:
    folder = pytest.importorskip("importlib.resources").files(pytest.importorskip("pgmpy"))
    names = ("asia", "cancer", "sachs", "alarm", "munin")
    models = folder / "utils" / "example_models"
    return {name: dosift.read_network(str(models / f"{name}.bif.gz")) for name in names}


def test_zeros_of_real_networks(real: dict[str, Network]) -> None:
    zeros = {name: positivity(network).n_zeros for name, network in real.items()}
    assert zeros == {"asia": 4, "cancer": 0, "sachs": 0, "alarm": 5, "munin": 54967}


@pytest.mark.parametrize("name", ["asia", "cancer", "sachs", "alarm", "munin"])
def test_real_networks(real: dict[str, Network], name: str) -> None:
    network = real[name]
    mixture = random_mixture(network, 5, max_size=2, random_state=0)
    quick = verdict(network, mixture)
    found = identified(network, mixture)
    if quick["status"] == "identified":
        assert found.status == "identified"
    if found.witness is not None and found.witness.error is not None:
        assert found.witness.error < 1e-9
    if name in {"cancer", "sachs"}:
        assert found.status == "identified"
    assert len(found.ranges) >= len(mixture)


def test_deterministic_or_hides_an_intervention(real: dict[str, Network]) -> None:
    """In asia, 'either' is yes by itself where 'lung' is yes: setting it there changes nothing."""
    hidden = Mixture({do(): 0.5, do(lung="yes", either="yes"): 0.5})
    found = identified(real["asia"], hidden)
    assert found.status == "not identified"
    assert found.parsimonious is not None
    assert do(lung="yes") in found.parsimonious
    seen = Mixture({do(): 0.5, do(lung="yes", either="no"): 0.5})
    assert identified(real["asia"], seen).status == "identified"


def test_verdict_on_a_thousand_variables_ends() -> None:
    """It looks at no more than what the targets touch; how fast it is, benchmarks say."""
    network = random_network(1000, n_states=3, n_edges=1500, max_parents=3, random_state=0)
    mixture = random_mixture(network, 15, max_size=4, random_state=0)
    found = verdict(network, mixture)
    assert found["status"] == "identified"
