"""Targets that set, shift and multiply variables: text, files, equality."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import dosift
from dosift import Altered, InputError, Mixture, Target, change, do, parse_target
from dosift.model.altered import NUMBERS

CONTRACT = {
    "do": {"gene": "off"},
    "set": {"ir_1": {"mean": 812.0, "sd": 35.1}},
    "shift": {"latency": {"by": 1.2}},
    "gain": {"ir_2": {"factor": 0.5, "offset": 3.0}},
    "fold": {"RIPK2": {"factor": 0.17}},
    "weight": 0.05,
}
TEXT = "do(gene=off), set(ir_1~812±35), shift(latency+1.2), gain(ir_2*0.5), fold(RIPK2*0.17)"

finite = st.floats(-1e12, 1e12)
positive = st.floats(1e-9, 1e9)
noise = st.one_of(st.just(1.0), positive)
on = st.sampled_from(["", "log", "logit"])
altered = st.one_of(
    st.builds(lambda m, s: Altered("set", (m, s)), finite, positive),
    st.builds(lambda b, o, n: Altered("shift", (b,), o, n), finite, on, noise),
    st.builds(lambda f, b, o, n: Altered("gain", (f, b), o, n), finite, finite, on, noise),
    st.builds(lambda f: Altered("fold", (f,)), positive),
    st.builds(lambda n: Altered("free", (n,)), st.integers(1, 9)),
)
entries = st.one_of(st.text(), finite, altered)
targets = st.dictionaries(st.text(), entries, max_size=4).map(Target)


def test_the_contract_is_read_written_and_said() -> None:
    rest = {"do": {}, "weight": 0.95}
    mixture = Mixture.from_dict({"components": [CONTRACT, rest]})
    assert mixture.to_dict() == {"components": [rest, CONTRACT]}
    target = mixture.targets[1]
    assert str(target) == TEXT
    assert (target.size, target.dos, [*target.changes]) == (
        5, {"gene": "off"}, ["RIPK2", "ir_1", "ir_2", "latency"],
    )  # fmt: skip
    assert target == change(
        do={"gene": "off"}, set={"ir_1": (812, 35.1)}, shift={"latency": 1.2},
        gain={"ir_2": (0.5, 3)}, fold={"RIPK2": 0.17},
    )  # fmt: skip
    assert str(parse_target(TEXT)) == TEXT


@given(targets)
def test_exact_texts_say_all(target: Target) -> None:
    assert parse_target(str(target.exact())) == target
    assert target.exact() == target
    assert hash(target.exact()) == hash(target)
    rounded = parse_target(str(target))
    assert [*rounded] == [*target]
    assert str(rounded).isprintable()


@given(st.lists(targets, min_size=1, max_size=3, unique=True))
def test_files_keep_every_bit(tmp_path_factory: pytest.TempPathFactory, several: list) -> None:
    mixture = Mixture({target: 1 / len(several) for target in several})
    path = tmp_path_factory.mktemp("mixture") / "m.json"
    mixture.write(path)
    found = Mixture.read(path)
    assert found == mixture
    assert json.loads(path.read_bytes()) == found.to_dict()
    texts = [str(target) for target in found]
    assert len({*texts}) == len(texts)


def test_numbers_are_the_states_of_the_same_digits() -> None:
    assert do(x=3.2) == do(x="3.2") == parse_target("do(x=3.2)")
    assert do(x=3.0) == do(x=3) == do(x=np.float32(3))
    assert hash(do(x=-0.0)) == hash(do(x=0))
    assert do(x=3.2)["x"] == 3.2
    assert Mixture({do(x=3.2): 1.0}).to_dict() == {"components": [{"do": {"x": 3.2}, "weight": 1}]}


def test_texts_that_would_be_the_same_hold_more_digits() -> None:
    near = [change(shift={"x": by}) for by in (1.2, 1.2000001, 3.0)]
    mixture = Mixture(dict.fromkeys(near, 1 / 3))
    assert [str(target) for target in mixture] == [
        "shift(x+1.2)", "shift(x+1.2000001)", "shift(x+3)",
    ]  # fmt: skip
    offsets = [change(gain={"x": (0.5, b)}) for b in (1, 2)]
    mixture = Mixture(dict.fromkeys(offsets, 0.5))
    assert [str(target) for target in mixture] == ["gain(x*0.5+1)", "gain(x*0.5+2)"]
    assert set(mixture) == {*offsets}


@pytest.mark.parametrize(
    ("mean", "sd", "text"),
    [
        (812.0, 35.1, "812±35"),
        (101325.4, 12.34, "101325±12"),
        (812.0, 350.4, "812±350"),
        (0.0, 1.0, "0±1"),
        (-0.001234, 0.1, "-0.00123±0.1"),
        (1e-9, 1e-9, "1e-09±1e-09"),
    ],
)
def test_a_mean_is_written_to_the_digits_of_its_spread(mean: float, sd: float, text: str) -> None:
    assert Altered("set", (mean, sd)).text("x") == f"x~{text}"


def test_names_with_signs_are_quoted_in_changes() -> None:
    target = change(shift={"a+1": 2, "b-c": -1, "d": 1e-7}, fold={"x y": 0})
    assert str(target) == 'shift("a+1"+2, "b-c"-1, d+1e-07), fold("x y"*0)'
    assert parse_target(str(target)) == target


def test_scales_and_noise_are_said() -> None:
    target = Target(
        {"a": Altered("shift", (0.8,), "logit"), "b": Altered("gain", (2,), "log", 1.5)}
    )
    assert str(target) == "shift(logit(a)+0.8), gain(log(b)*2)"
    assert str(target.exact()) == "shift(logit(a)+0.8), gain(log(b)*2 noise*1.5)"
    assert parse_target("free(x#2, y)") == Target({"x": Altered("free", 2), "y": Altered("free")})
    assert parse_target("set(x ~ 3 +- 1)") == change(set={"x": (3, 1)})


def test_extends_compares_the_changes() -> None:
    large = change(do={"a": 1}, shift={"x": 1.5})
    assert large.extends(change(shift={"x": 1.5}))
    assert large.extends(do(a=1))
    assert not large.extends(change(shift={"x": 1.6}))
    assert not large.extends(change(fold={"x": 1.5}))


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("shift(x)", 8, "expected '\\+' or '-'"),
        ("shift(x+)", 8, "expected a number"),
        ("set(x~3)", 8, "expected '±'"),
        ("set(x~3±0)", 5, "'sd' is 0"),
        ("fold(x*-1)", 6, "multiplied by 0 or more"),
        ("fold(x=1)", 7, "expected '\\*'"),
        ("shift(logit(x+1)", 14, "expected '\\)'"),
        ("do(x=1), shift(x+1)", 16, "set twice"),
        ("do(x=1), ", 10, "expected 'do\\('"),
        ("do(x=1), move(x+1)", 10, "expected 'do\\('"),
        ("fold(log(x)*2)", 6, "fold has no 'on'"),
        ("shift(x+1e999)", 7, "not finite"),
    ],
)
def test_malformed_texts_name_the_column(text: str, column: int, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        parse_target(text)
    assert caught.value.column == column


@given(st.text(alphabet='dosethifgan()"=,\\ 1x~±+-*#.', max_size=24))
def test_any_text_is_a_target_or_an_input_error(text: str) -> None:
    try:
        target, column = parse_target(text), 1
    except InputError as error:
        target, column = do(), error.column or 0
    assert column in range(1, len(text) + 2)
    assert parse_target(str(target.exact())) == target


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ({"set": []}, r"components\[0\]\.set is a list"),
        ({"set": {"x": 3}}, r"components\[0\]\.set\.x is a number; it must be an object"),
        ({"set": {"x": {"mean": 3}}}, r"components\[0\]\.set\.x: has no key 'sd'"),
        ({"set": {"x": {"mean": 3, "sd": 0}}}, r"\.set\.x: 'sd' is 0; it must be above 0"),
        ({"set": {"x": {"mean": "3", "sd": 1}}}, r"\.set\.x: 'mean' is '3'; it must be a number"),
        ({"shift": {"x": {"by": True}}}, r"\.shift\.x: 'by' is True; it must be a number"),
        ({"shift": {"x": {"by": float("inf")}}}, r"\.shift\.x: 'by' is not finite"),
        ({"shift": {"x": {"by": 1, "to": 2}}}, r"\.shift\.x: has an unknown key 'to'"),
        ({"shift": {"x": {"by": 1, "on": "sqrt"}}}, r"\.shift\.x: 'on' is 'sqrt'"),
        ({"shift": {"x": {"by": 1, "noise": 0}}}, r"\.shift\.x: 'noise' is 0"),
        ({"fold": {"x": {"factor": -1}}}, r"\.fold\.x: 'factor' is -1"),
        ({"free": {"x": {"number": 0.5}}}, r"\.free\.x: 'number' is 0.5"),
        ({"do": {"x": 1}, "fold": {"x": {"factor": 1}}}, r"\.fold\.x: .* something else to 'x'"),
        ({"move": {}}, r"components\[0\] has an unknown key 'move'"),
    ],
)
def test_malformed_components_name_the_place(part: dict, message: str) -> None:
    content = {"components": [{"do": {}, "weight": 1, **part}]}
    with pytest.raises(InputError, match=message):
        Mixture.from_dict(content)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"set": {"x": 3}}, "'set' of 'x': set needs its 'sd'"),
        ({"set": {"x": (1, 2, 3)}}, "'set' of 'x': set has 3 numbers"),
        ({"shift": {"x": "1"}}, "'shift' of 'x': 'by' is '1'"),
        ({"shift": 3}, "shift takes a mapping of variables, not int"),
        ({"shift": {"x": 1}, "fold": {"x": 2}}, "'x' is set twice"),
        ({"do": {"x": 1}, "free": ["x"]}, "'x' is set twice"),
        ({"fold": {"x": Altered("shift", 1)}}, "kind 'shift' stands where 'fold'"),
    ],
)
def test_what_is_no_change_is_refused(arguments: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        change(**arguments)


def test_the_kinds_are_those_of_the_constructor() -> None:
    assert dosift.change(free="x") == Target({"x": Altered("free")})
    for kind in NUMBERS:
        with pytest.raises(InputError, match="of 'x'"):
            change(**{kind: {"x": [None] * 3}})
    with pytest.raises(InputError, match="no kind of change"):
        Altered("push", 1)
