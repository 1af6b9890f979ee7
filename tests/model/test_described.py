"""Changes of working scales in the users' units: what rows under them do, and the way back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

import dosift
from dosift import Altered, InputError, Mixture, Target, change, do
from dosift.model.described import described, named_targets
from dosift.model.linear_changes import SetNormal, Shift
from dosift.model.mechanism import Changes
from dosift.model.working_changes import with_changes
from mixed_network import mixed_network, with_free_changes

N_ROWS = 60_000


def drawn(target: Target, seed: int = 0) -> np.ndarray:
    """Rows under a target, in the users' units."""
    network, codes = with_changes(mixed_network(), [target])
    values, _ = network.draw(codes, np.ones(1), N_ROWS, np.random.default_rng(seed))
    return network.user(values)


def every_single() -> list[tuple[int, int]]:
    network = mixed_network()
    return [(i, k) for i, own in enumerate(network.libraries) for k in range(len(own))]


@pytest.mark.parametrize(("i", "k"), every_single())
def test_what_is_described_is_what_rows_do(i: int, k: int) -> None:
    """Draw from the change itself, and from the one that its description names."""
    network = mixed_network()
    entry = described(network, i, k)
    codes = np.full((1, 5), -1)
    codes[0, i] = k
    values, _ = network.draw(codes, np.ones(1), N_ROWS, np.random.default_rng(1))
    own, named = network.user(values)[:, i], drawn(Target({network.names[i]: entry}))[:, i]
    assert named.mean() == pytest.approx(own.mean(), abs=5 * own.std() / np.sqrt(N_ROWS) + 1e-9)
    assert named.std() == pytest.approx(own.std(), rel=0.02, abs=1e-9)


def test_numbers_are_those_of_the_column() -> None:
    left_alone = drawn(do())
    shifted = drawn(change(shift={"ir_1": 30.0}))[:, 1]
    assert shifted - left_alone[:, 1] == pytest.approx(30.0)
    doubled = drawn(change(gain={"latency": (2.0, 0.5)}))[:, 2]
    assert doubled == pytest.approx(2.0 * left_alone[:, 2] + 0.5)
    for name, (mean, sd), i in (("ir_1", (830.0, 4.0), 1), ("latency", (4.0, 3.0), 2),
                                ("rate", (0.8, 0.15), 3)):  # fmt: skip
        rows = drawn(change(set={name: (mean, sd)}))[:, i]
        assert rows.mean() == pytest.approx(mean, abs=5 * sd / np.sqrt(N_ROWS))
        assert rows.std() == pytest.approx(sd, rel=0.02)
    odds = np.log(left_alone[:, 3] / (1 - left_alone[:, 3]))
    more = drawn(Target({"rate": Altered("shift", (0.8,), "logit")}))[:, 3]
    assert np.log(more / (1 - more)) - odds == pytest.approx(0.8)
    assert set(drawn(do(ir_1=3.25))[:, 1].round(9)) == {3.25}
    halved = drawn(change(gain={"ir_1": (0.5, 3.0)}))[:, 1]
    assert halved.mean() == pytest.approx(0.5 * left_alone[:, 1].mean() + 3.0, abs=0.5)


def test_the_texts_of_a_network() -> None:
    network = with_free_changes(mixed_network())
    texts = {
        (i, k): str(target)
        for i, own in enumerate(network.libraries)
        for k in range(len(own))
        for target in named_targets(network, np.where(np.arange(5) == i, k, -1)[None])
    }
    assert texts[0, 1] == "do(gene=on)"
    assert texts[1, 0] == "set(ir_1~840±6)"
    assert texts[1, 1] == "shift(ir_1-40)"
    assert texts[1, 2] == "gain(ir_1*0.5)"
    assert texts[1, 3] == "do(ir_1=820)"
    assert (texts[1, 4], texts[1, 5]) == ("free(ir_1)", "free(ir_1#2)")
    assert texts[2, 1] == f"gain(latency*{np.exp(2.5 * 0.5):.3g})"
    assert texts[2, 2] == "gain(log(latency)*1.5)"
    assert texts[3, 1] == "shift(logit(rate)+1.4)"
    assert texts[4, 0] == "fold(RIPK2*0.17)"
    assert texts[4, 2] == "set(RIPK2~90±22)"


def test_codes_go_there_and_back_through_a_file(tmp_path) -> None:
    network = with_free_changes(mixed_network())
    rng = np.random.default_rng(0)
    codes = np.array([[rng.integers(-1, n) for n in network.n_changes] for _ in range(40)])
    codes = np.unique(codes, axis=0)
    mixture = Mixture.from_codes(network, codes, np.full(len(codes), 1 / len(codes)))
    assert len(mixture) == len(codes)
    mixture.write(tmp_path / "m.json")
    found, weights = Mixture.read(tmp_path / "m.json").to_codes(network)
    assert {*map(tuple, found.tolist())} == {*map(tuple, codes.tolist())}
    assert weights.sum() == pytest.approx(1.0)


def test_changes_that_do_the_same_are_one() -> None:
    network = mixed_network()
    libraries = [*network.libraries]
    libraries[1] = Changes((Shift(1.0), Shift(1.0), Shift(1.0000001), SetNormal(1.0, 0.5)))
    network = replace(network, libraries=tuple(libraries))
    codes = np.full((4, 5), -1)
    codes[:, 1] = range(4)
    mixture = Mixture.from_codes(network, codes, np.array([0.1, 0.2, 0.3, 0.4]))
    assert [str(target) for target in mixture] == [
        "set(ir_1~820±10)", "shift(ir_1+20)", "shift(ir_1+20.000002)",
    ]  # fmt: skip
    assert mixture.weights == pytest.approx([0.4, 0.3, 0.3])
    with pytest.raises(InputError, match=r"weight of shift\(ir_1\+20\) is -0\.1"):
        Mixture.from_codes(network, codes[:2], np.array([-0.1, 1.1]))


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (do(x=1), "'x', which the network does not have"),
        (do(gene="low"), "'gene' to 'low', which is not one of its states; they are 'off', 'on'"),
        (change(shift={"gene": 1}), "'gene', which has states; they can be set only, as in do"),
        (do(ir_1="low"), "'ir_1': 'low' is no number"),
        (do(ir_1="nan"), "'ir_1': 'nan' is no number"),
        (change(free=["ir_1"]), "does not say what the other mechanism is"),
        (change(fold={"ir_1": 2}), "a fold is of a count; give a gain"),
        (change(shift={"latency": 2}), "its logarithm is modelled, which a gain moves"),
        (change(gain={"latency": 2}), r"log\(value \+ 0\.5\), where a factor of 2 comes with"),
        (change(gain={"latency": (-2, 0)}), "the factor must be above 0"),
        (change(set={"latency": (-1, 1)}), "its mean -1 must be above -0.5"),
        (change(shift={"rate": 2}), "modelled as log odds; give a shift of that"),
        (change(gain={"rate": 2}), "modelled as log odds; give a gain of that"),
        (change(set={"rate": (0.5, 0.6)}), "a share cannot have mean 0.5 and standard deviation"),
        (Target({"ir_1": Altered("shift", (1,), "logit")}), "modelled as it is; give a shift"),
        (change(shift={"RIPK2": 2}), "it is a count; give a fold"),
        (change(fold={"RIPK2": 0}), "a fold of 0 leaves nothing; give do"),
        (change(set={"RIPK2": (9, 2)}), "a count of mean 9 has a standard deviation above 3"),
        (change(set={"RIPK2": (-1, 2)}), "a count of mean -1 has a standard deviation above 0"),
    ],
)  # fmt: skip
def test_what_a_network_cannot_do_is_said(target: Target, message: str) -> None:
    with pytest.raises(InputError, match=message):
        with_changes(mixed_network(), [target])


def test_a_change_that_is_in_no_library_is_said() -> None:
    with pytest.raises(InputError, match=r"none of the 4 changes of 'ir_1'"):
        Mixture({change(shift={"ir_1": -41}): 1.0}).to_codes(mixed_network())


def test_rows_are_drawn_in_the_units_of_their_columns() -> None:
    network = mixed_network()
    mixture = Mixture(
        {do(): 0.5, change(do={"gene": "off"}, set={"ir_1": (812, 3)}): 0.3,
         change(fold={"RIPK2": 0.1}): 0.2}
    )  # fmt: skip
    rows, targets = dosift.simulate(network, mixture, 4000, random_state=0, return_targets=True)
    assert dict(rows.schema) == {
        "gene": pl.String, "ir_1": pl.Float64, "latency": pl.Float64, "rate": pl.Float64,
        "RIPK2": pl.Int64,
    }  # fmt: skip
    own = rows.filter(targets.str.contains("ir_1"))
    assert set(own["gene"]) == {"off"}
    assert own["ir_1"].mean() == pytest.approx(812, abs=0.5)
    assert own["ir_1"].std() == pytest.approx(3, rel=0.1)
    low = rows.filter(targets.str.contains("RIPK2"))["RIPK2"].mean()
    assert low == pytest.approx(0.1 * np.exp(3.0), rel=0.1)
    assert rows.equals(dosift.simulate(network, mixture, 4000, random_state=0))
    with pytest.raises(InputError, match="does not say what the other mechanism is"):
        dosift.simulate(network, Mixture({change(free=["ir_1"]): 1.0}), 10)


def test_changes_that_a_network_has_are_drawn_as_they_are() -> None:
    network = with_free_changes(mixed_network())
    codes = np.full((2, 5), -1)
    codes[0, 1], codes[1, 1] = 4, 5
    mixture = Mixture.from_codes(network, codes, np.array([0.5, 0.5]))
    rows, targets = dosift.simulate(network, mixture, 2000, random_state=0, return_targets=True)
    first, second = (
        rows.filter(targets == t)["ir_1"].mean() for t in ("free(ir_1)", "free(ir_1#2)")
    )
    # Intercepts 0 and 1, at a spread of 20.
    assert second - first == pytest.approx(20.0, abs=3.0)
