"""Functions of columns that users write."""

from __future__ import annotations

import pickle
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dosift.data.expressions import (
    FUNCTIONS,
    Expression,
    parse_expression,
    read_features,
    split_feature,
)
from dosift.errors import InputError

NAMES = ["a", "b", "angle_1", "gene-2", "x.y", "cos", "größe", "my column", "a:b"]
A, B = np.array([0.5, 2.0, 3.0]), np.array([4.0, -1.0, 0.25])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a", A),
        ("a+b*2", A + B * 2),
        ("(a+b)*2", (A + B) * 2),
        ("a-b-1", A - B - 1),
        ("a/b/2", A / B / 2),
        ("-a**2", -(A**2)),
        ("2**-a", 2.0**-A),
        ("a**2**2", A**4),
        ("- - a", A),
        ("+a - -b", A + B),
        ("a*-b", A * -B),
        ("1.5e-3*a + .5", 1.5e-3 * A + 0.5),
        ("cos(a-b)**2", np.cos(A - B) ** 2),
        ("log(exp(a))", A),
        ("sqrt(abs(b)) * sin(a) / tan(a)", np.sqrt(np.abs(B)) * np.cos(A)),
        (" a *\n b ", A * B),
        ('"a"*`b`', A * B),
    ],
)
def test_values(text: str, expected: Any) -> None:
    found = parse_expression(text, NAMES)
    arguments = [{"a": A, "b": B}[name] for name in found.names]
    np.testing.assert_allclose(found(*arguments), expected, rtol=1e-12)


def test_names_that_are_no_words() -> None:
    found = parse_expression('`gene-2` * x.y - "my column" / größe + cos(cos)', NAMES)
    assert found.names == ("gene-2", "x.y", "my column", "größe", "cos")
    values = found(*(np.array([float(k)]) for k in range(1, 6)))
    np.testing.assert_allclose(values, 1 * 2 - 3 / 4 + np.cos(5))


def test_columns_are_taken_once_in_the_order_of_appearance() -> None:
    found = parse_expression("b*a*b", NAMES)
    assert found.names == ("b", "a")
    again = pickle.loads(pickle.dumps(found))
    assert again == found
    np.testing.assert_allclose(again(B, A), B * B * A)


def test_what_has_no_value_is_no_warning() -> None:
    found = parse_expression("log(a)/b", NAMES)
    values = found(np.array([-1.0, 1.0, 0.0]), np.array([1.0, 0.0, 1.0]))
    assert not np.isfinite(values).any()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "at character 1: something is missing"),
        ("   ", "something is missing"),
        ("a +", "at character 4: something is missing"),
        ("a b", "at character 3: an operator is missing before this"),
        ("a ** * b", "at character 6: a number, a column or a parenthesis is missing"),
        ("(a", "at character 1: the parenthesis that opens here is not closed"),
        ("cos(a", "at character 1: the parenthesis that opens here is not closed"),
        ("(a b)", "at character 4: an operator or a closing parenthesis"),
        ("a)", "at character 2: an operator is missing"),
        ("()", "at character 2"),
        ("cos()", "at character 5"),
        ("sin a", "at character 1: 'sin' is no variable"),
        ("a^2", "at character 2: write \\*\\* for a power"),
        ("a % 2", "there are"),
        ("log(a, 2)", "at character 6: functions take one value"),
        ("`a", "the quote that opens here is not closed"),
        ("angle1 * a", "at character 1: 'angle1' is no variable: did you mean 'angle_1'"),
        ("zzz", "'zzz' is no variable: 'a', 'b'"),
        ("log10(a)", "the functions are abs, cos"),
        ("1 + 2", "names no column"),
        ("2a", "at character 2: an operator is missing"),
        ("a.__class__", "'a.__class__' is no variable"),
        ("__import__('os').system('ls')", "the functions are"),
        ("().__class__", "at character 2"),
        ("a if b else a", "an operator is missing"),
        ("lambda: a", "'lambda' is no variable"),
        ("a; b", "this is not known here"),
        ("a == b", "this is not known here"),
        ("[a for a in b]", "write"),
        ("a\0b", "this is not known here"),
        ("(" * 5000 + "a", "characters"),
        ("(" * 400 + "a" + ")" * 400, "levels"),
        ("-" * 900 + "a", "levels"),
        ("a" + "**a" * 300, "levels"),
        (7, "give a text"),
        (None, "give a text"),
    ],
)
def test_malformed(text: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        parse_expression(text, NAMES)


@settings(max_examples=500, deadline=None)
@given(st.text(alphabet='ab01.()+-*/ecos `"^,_x', max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        found = parse_expression(text, NAMES)
    except InputError:
        return
    value = found(*(np.full(2, 0.7) for _ in found.names))
    assert value.shape == (2,)


@settings(max_examples=200, deadline=None)
@given(
    st.recursive(
        st.sampled_from(["a", "b", "2", "0.5"]),
        lambda inner: st.one_of(
            st.tuples(inner, st.sampled_from(["+", "-", "*", "/"]), inner).map("".join),
            inner.map(lambda text: f"({text})"),
            st.tuples(st.sampled_from(sorted(FUNCTIONS)), inner).map(lambda t: f"{t[0]}({t[1]})"),
        ),
        max_leaves=8,
    )
)
def test_values_are_those_of_the_same_formula_in_python(text: str) -> None:
    if not {"a", "b"} & set(re.findall(r"\b[ab]\b", text)):
        with pytest.raises(InputError, match="names no column"):
            parse_expression(text, ["a", "b"])
        return
    found = parse_expression(text, ["a", "b"])
    values = {"a": A, "b": B}
    with np.errstate(all="ignore"):
        expected = eval(text, {"__builtins__": {}}, {**FUNCTIONS, "a": A, "b": B})
    np.testing.assert_allclose(found(*(values[n] for n in found.names)), expected, equal_nan=True)


@pytest.mark.parametrize(
    "steps",
    [
        (),
        (("column", 0), ("column", 0)),
        (("column", 1),),
        (("column", -1),),
        (("call", "cos"), ("column", 0)),
        (("column", 0), ("join", "+")),
        (("column", 0), ("call", "system")),
        (("column", 0), ("import", "os")),
        (("number", "1"),),
        (("column", 0), ("column", 0), ("join", "%")),
    ],
)
def test_steps_of_a_file_that_cannot_be_taken(steps: Any) -> None:
    with pytest.raises(ValueError, match="of an expression"):
        Expression("a", ("a",), steps)


def test_features_by_child() -> None:
    assert split_feature("a:b: a*2", NAMES) == ("a:b", "a*2")
    assert split_feature("b: `a:b`*2", NAMES) == ("b", "`a:b`*2")
    assert split_feature("`gene-2`: a*2", NAMES) == ("gene-2", "a*2")
    found = read_features(["b: a**2", "b: cos(a)", "gene-2 : a"], NAMES)
    assert {child: [e.text for e in own] for child, own in found.items()} == {
        "b": ["a**2", "cos(a)"],
        "gene-2": ["a"],
    }
    assert found == read_features({"b": ["a**2", "cos(a)"], "gene-2": "a"}, NAMES)
    assert read_features(None, NAMES) == {}


@pytest.mark.parametrize(
    ("features", "words"),
    [
        (["a**2"], "does not say whose mean it is for; write 'child: expression'"),
        (["B: a"], "for 'B', which is no variable; did you mean 'b'"),
        ({"B": "a"}, "given for 'B', which is no variable; did you mean 'b'"),
        ({"b": 3}, "the features of 'b' are 3"),
        ("b: a", "give a mapping of children to texts"),
        (3, "give a mapping of children to texts"),
        ([3], "a feature is 3"),
        ({"b": [None]}, "a feature is None"),
    ],
)
def test_features_that_are_none(features: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read_features(features, NAMES)


def test_pi_is_a_number_unless_a_column_is_called_so() -> None:
    assert parse_expression("a * cos(pi)", ["a"])(np.array([2.0])).tolist() == [-2.0]
    assert parse_expression("2 * pi", ["pi"])(np.array([3.0])).tolist() == [6.0]
