"""Targets, their text, mixtures and their files."""

import copy
import json
import pickle
from enum import Enum

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dosift.errors import InputError
from dosift.model import Mixture, Target, do, parse_target
from dosift.model.mixture import with_other_of
from dosift.model.network import Network


@pytest.fixture
def network():
    return Network.from_tables(
        {"smoke": ["no", "yes"], "lung": ["none", "mild", "severe"]},
        {"lung": ["smoke"]},
        {"smoke": [[0.5, 0.5]], "lung": [[0.8, 0.1, 0.1], [0.4, 0.3, 0.3]]},
    )


class TestTarget:
    def test_is_a_mapping_sorted_by_name(self):
        target = do({"b": "2"}, c="3", a="1")
        assert list(target.items()) == [("a", "1"), ("b", "2"), ("c", "3")]
        assert str(target) == repr(target) == "do(a=1, b=2, c=3)"
        assert target.size == len(target) == 3
        assert str(do()) == "do()"

    def test_equality_and_hash_do_not_depend_on_order_or_integers(self):
        first, second = Target({"x": 1, "y": "b"}), Target({"y": "b", "x": "1"})
        assert first == second
        assert hash(first) == hash(second)
        assert first == do({"x": np.int8(1)}, y="b")
        assert do(x="1") != {"x": "1"}

    @pytest.mark.parametrize("thing", [do(x="1"), Mixture({do(): 0.5, do(x=1): 0.5})])
    def test_survives_pickle_and_copy(self, thing):
        assert pickle.loads(pickle.dumps(thing)) == thing == copy.deepcopy(thing)

    def test_takes_the_text_of_an_enumeration(self):
        class Level(str, Enum):  # noqa: UP042
            HIGH = "high"

        assert str(do(x=Level.HIGH)) == "do(x=high)"

    def test_extends(self):
        small, large = do(x=1), do(x=1, y=2)
        assert large.extends(small)
        assert large.extends(large)
        assert small.extends(do())
        assert not small.extends(large)
        assert not large.extends(do(x=2))

    @pytest.mark.parametrize("state", [None, float("nan"), float("inf"), True, ["a"], b"a", 1j])
    def test_refuses_states_that_are_not_names(self, state):
        with pytest.raises(InputError, match="the state of 'x'"):
            do(x=state)

    def test_refuses_an_integer_too_long_to_print(self):
        with pytest.raises(InputError, match="too long to be a name"):
            do(x=10**5000)

    def test_refuses_a_variable_given_twice(self):
        with pytest.raises(InputError, match="'x' is set twice"):
            do({"x": 1}, x=1)

    @pytest.mark.parametrize("mapping", [[("x", 1)], "x=1", 3])
    def test_refuses_what_is_not_a_mapping(self, mapping):
        with pytest.raises(InputError, match="from a mapping"):
            do(mapping)

    def test_refuses_names_that_are_not_text(self):
        with pytest.raises(InputError, match="name 1 is not text"):
            do({1: "x"})
        with pytest.raises(InputError, match="not valid Unicode"):
            do({"\ud800": "x"})


class TestText:
    def test_quotes_only_what_needs_it(self):
        assert str(do({"a b": "<5", "c.d-e_f+": "-1"})) == 'do("a b"="<5", c.d-e_f+=-1)'
        assert str(do({"": ""})) == 'do(""="")'

    def test_stays_on_one_printable_line(self):
        text = str(do(x='a\n\t\r"\\\x00\x7f\u2028\u202e\ufeff\U000e0001é'))
        assert text.isprintable()
        assert "é" in text

    @given(st.dictionaries(st.text(), st.text(), max_size=4))
    @example({'"': "\\", ")": "(", ",": "=", "\n": "\x85\u2029"})
    @example({"do(": 'a="b"', "x\n": "1\n"})
    def test_round_trips_with_any_name(self, assignments):
        target = Target(assignments)
        assert parse_target(str(target)) == target
        assert str(parse_target(str(target))) == str(target)

    @given(st.text(alphabet='do()"=,\\ a1\nu', max_size=20))
    def test_any_text_is_a_target_or_an_input_error(self, text):
        try:
            target, column = parse_target(text), 1
        except InputError as error:
            target, column = do(), error.column
        assert column in range(1, len(text) + 2)
        assert parse_target(str(target)) == target

    def test_spaces_do_not_matter(self):
        assert parse_target(' do ( x = 1 ,\t"y" = "2" ) ') == do(x=1, y=2)
        assert parse_target("do( )") == do()

    @pytest.mark.parametrize(
        ("text", "column"),
        [
            ("", 1),
            ("x=1", 1),
            ("do(", 4),
            ("do(x", 5),
            ("do(x=", 6),
            ("do(x=1", 7),
            ("do(x=1,)", 8),
            ("do(,)", 4),
            ("do(x=1))", 8),
            ("do(x=1) y", 9),
            ("do(x=1 y=2)", 8),
            ("do(x=1, x=2)", 9),
            ("do(x=é)", 6),
            ('do(x="a)', 6),
            (r'do(x="\q")', 7),
            (r'do(x="\ud800")', 6),
            ('do(x="a\nb")', 8),
            ("do(x==1)", 6),
        ],
    )
    def test_malformed_text_names_the_column(self, text, column):
        with pytest.raises(InputError) as caught:
            parse_target(text)
        assert caught.value.column == column

    def test_only_text_is_parsed(self):
        with pytest.raises(InputError, match="not int"):
            parse_target(3)

    def test_long_text_is_shortened_in_the_message(self):
        with pytest.raises(InputError) as caught:
            parse_target("do(" + "x" * 100_000)
        assert len(str(caught.value)) < 300


class TestMixture:
    def test_order_is_canonical(self):
        parts = [(do(b=1), 0.25), (do(a=1), 0.25), (do(), 0.5), (do(c=1), 0.0)]
        mixture = Mixture(parts)
        assert mixture.targets == tuple(mixture) == (do(), do(a=1), do(b=1), do(c=1))
        assert mixture.weights.tolist() == [0.5, 0.25, 0.25, 0.0]
        assert mixture == Mixture(reversed(parts)) == Mixture(dict(parts))
        assert hash(mixture) == hash(Mixture(reversed(parts)))

    def test_is_immutable(self):
        mixture = Mixture({do(): 1.0})
        mixture.weights[0] = 3.0
        mixture.to_dict()["components"][0]["weight"] = 3.0
        assert mixture[do()] == 1.0
        with pytest.raises(TypeError):
            mixture[do()] = 0.5
        with pytest.raises(AttributeError):
            mixture.weights = [1.0]

    def test_weights_are_kept_as_given(self):
        weights = {do(): 0.1, do(x=1): 0.2, do(x=2): 0.7 + 4e-7}
        assert dict(Mixture(weights)) == weights

    def test_repr_shows_targets_and_weights(self):
        assert repr(Mixture({do(): 0.25, do(x=1): 0.75})) == "Mixture({do(x=1): 0.75, do(): 0.25})"

    @pytest.mark.parametrize(
        ("weights", "message"),
        [
            ([], "at least one component"),
            ({do(): 0.5}, "sum to 0.5"),
            ({do(): 1.0, do(x=1): 1e-5}, "sum to 1.00001"),
            ({do(): 1.5, do(x=1): -0.5}, "between 0 and 1"),
            ({do(): float("nan")}, "is nan"),
            ({do(): float("inf")}, "is inf"),
            ({do(): True}, "not a number"),
            ({do(): "1"}, "not a number"),
            ({do(): 10**400}, "integer other than"),
            ([(do(), 0.5), (do(), 0.5)], "occurs twice"),
            ({"do()": 1.0}, "not a target"),
            (None, "made from targets and weights"),
            ([do()], "not a pair"),
            ("ab", "not a pair"),
        ],
    )
    def test_refuses(self, weights, message):
        with pytest.raises(InputError, match=message):
            Mixture(weights)

    def test_accepts_numpy_numbers(self):
        assert Mixture({do(): np.float32(0.5), do(x=1): np.float64(0.5)})[do()] == 0.5


class TestCodes:
    def test_round_trip(self, network):
        mixture = Mixture({do(): 0.5, do(lung="severe"): 0.3, do(lung="mild", smoke="no"): 0.2})
        targets, weights = mixture.to_codes(network)
        assert targets.tolist() == [[-1, -1], [-1, 2], [0, 1]]
        assert weights.tolist() == [0.5, 0.3, 0.2]
        assert Mixture.from_codes(network, targets, weights) == mixture

    @pytest.mark.parametrize(
        ("target", "message"),
        [
            (do(smoek="yes"), "'smoek', which the network does not have; did you mean 'smoke'"),
            (do(x="yes"), "its variables are 'smoke', 'lung'"),
            (do(lung="milde"), "'lung' to 'milde'.*did you mean 'mild'"),
            (do(smoke="7"), "they are 'no', 'yes'"),
        ],
    )
    def test_unknown_names_are_named_with_suggestions(self, network, target, message):
        with pytest.raises(InputError, match=message):
            Mixture({target: 1.0}).to_codes(network)

    @pytest.mark.parametrize(
        ("targets", "weights", "message"),
        [
            ([[0]], [1.0], "one column for each"),
            ([0, 1], [1.0], "one column for each"),
            ([[0, 3]], [1.0], "sets 'lung' to code 3"),
            ([[-2, 0]], [1.0], "sets 'smoke' to code -2"),
            ([[0.0, 1.0]], [1.0], "integer codes"),
            ([[0, 1]], [0.5, 0.5], "1 targets but weights"),
            ([[0, 1], [0, 1]], [0.5, 0.5], "occurs twice"),
            ([[0, 1]], [np.nan], "is nan"),
        ],
    )
    def test_malformed_codes_are_refused(self, network, targets, weights, message):
        with pytest.raises(InputError, match=message):
            Mixture.from_codes(network, targets, weights)


COMPONENT = '{"do": {"x": "1"}, "weight": 1.0}'
LONG = "9" * 9999


class TestFile:
    def test_content_is_the_contract(self):
        mixture = Mixture({do(): 0.55, do(smoke="yes", lung="no"): 0.45})
        assert mixture.to_dict() == {
            "components": [
                {"do": {}, "weight": 0.55},
                {"do": {"lung": "no", "smoke": "yes"}, "weight": 0.45},
            ]
        }

    @given(
        st.dictionaries(
            st.dictionaries(st.text(), st.text(), max_size=3).map(Target),
            st.integers(1, 1000),
            min_size=1,
            max_size=4,
        )
    )
    def test_round_trips_to_the_last_bit(self, tmp_path_factory, counts):
        total = sum(counts.values())
        mixture = Mixture({target: count / total for target, count in counts.items()})
        path = tmp_path_factory.mktemp("mixture") / "mixture.json"
        mixture.write(path)
        assert Mixture.read(path) == mixture
        assert json.loads(path.read_bytes()) == mixture.to_dict()

    def test_byte_order_mark_and_integer_states_are_read(self, tmp_path):
        path = tmp_path / "m.json"
        path.write_bytes(b'\xef\xbb\xbf{"components": [{"weight": 1, "do": {"x": 1}}]}')
        assert Mixture.read(path) == Mixture({do(x="1"): 1.0})

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "line 1, column 1: is not JSON"),
            ('{"components": [\n  {"do" {}}]}', "line 2, column 9: is not JSON"),
            ("[]", "the content is a list; it must be an object"),
            ("{}", "the content has no key 'components'"),
            ('{"components": {}}', "'components' is an object; it must be a list"),
            ('{"components": []}', "at least one component"),
            ('{"components": [], "x": 1}', "unknown key 'x'"),
            ('{"components": [], "components": []}', "the content has the key 'components' twice"),
            ('{"components": [null]}', r"components\[0\] is null"),
            (f'{{"components": [{COMPONENT}, 3]}}', r"components\[1\] is a number"),
            ('{"components": [{"do": {}}]}', r"components\[0\] has no key 'weight'"),
            ('{"components": [{"do": {}, "weight": 1, "p": 2}]}', "unknown key 'p'"),
            ('{"components": [{"do": [], "weight": 1}]}', r"components\[0\]\.do is a list"),
            ('{"components": [{"do": {"x": null}, "weight": 1}]}', r"components\[0\]\.do: .*'x'"),
            ('{"components": [{"do": {"x": true}, "weight": 1}]}', r"\.do: .*'x', True"),
            ('{"components": [{"do": {"x": 1e999}, "weight": 1}]}', r"\.do: .*'x' is not finite"),
            ('{"components": [{"do": {"x": "1", "x": "2"}, "weight": 1}]}', r"\.do .*'x' twice"),
            (r'{"components": [{"do": {"x": "\ud800"}, "weight": 1}]}', "not valid Unicode"),
            ('{"components": [{"do": {}, "weight": true}]}', "weight is true or false"),
            ('{"components": [{"do": {}, "weight": "1"}]}', "weight is a text"),
            ('{"components": [{"do": {}, "weight": NaN}]}', "weight is nan"),
            ('{"components": [{"do": {}, "weight": -1}]}', "weight is"),
            ('{"components": [{"do": {}, "weight": 1e999}]}', "weight is inf"),
            (f'{{"components": [{{"do": {{}}, "weight": {LONG}}}]}}', "weight is inf"),
            (f'{{"components": [{{"do": {{"x": {LONG}}}, "weight": 1}}]}}', r"\.do: .*'x'"),
            ('{"components": [{"do": {}, "weight": 0.4}]}', "sum to 0.4"),
            (f'{{"components": [{COMPONENT}, {COMPONENT}]}}', r"do\(x=1\) occurs twice"),
            pytest.param("[" * 100_000, "nested too deeply", id="nested"),
        ],
    )
    def test_malformed_files_are_refused_with_the_place(self, tmp_path, text, message):
        path = tmp_path / "bad.json"
        path.write_text(text, encoding="utf-8")
        with pytest.raises(InputError, match=message) as caught:
            Mixture.read(path)
        assert caught.value.path == str(path)
        assert str(caught.value).startswith(str(path))

    def test_bytes_that_are_not_text_are_refused(self, tmp_path):
        path = tmp_path / "bad.json"
        path.write_bytes(b'{\n"a": "\xff"}')
        with pytest.raises(InputError, match="line 2: is not UTF-8"):
            Mixture.read(path)

    def test_a_missing_file_and_a_folder_are_refused(self, tmp_path):
        with pytest.raises(InputError, match="cannot be read: No such file"):
            Mixture.read(tmp_path / "none.json")
        with pytest.raises(InputError, match="cannot be read"):
            Mixture.read(tmp_path)
        with pytest.raises(InputError, match="cannot be read"):
            Mixture.read("a\0b")

    def test_a_failed_write_leaves_nothing_behind(self, tmp_path):
        folder = tmp_path / "taken"
        folder.mkdir()
        mixture = Mixture({do(): 1.0})
        for path in (folder, tmp_path / "none" / "m.json"):
            with pytest.raises(InputError, match="cannot be written"):
                mixture.write(path)
        assert list(tmp_path.iterdir()) == [folder]

    def test_writing_replaces(self, tmp_path):
        path = tmp_path / "m.json"
        path.write_text("old")
        Mixture({do(): 1.0}).write(path)
        assert path.read_text() == '{"components": [\n  {"do": {}, "weight": 1.0}\n]}\n'
        assert list(tmp_path.iterdir()) == [path]


def test_weights_may_miss_one_by_a_millionth() -> None:
    for off in (-0.9e-6, 0.9e-6):
        assert sum(Mixture({do(): 0.5, do(x=1): 0.5 + off}).values()) == pytest.approx(1 + off)
        assert Mixture({do(): 1.0 + max(off, 0.0)})
    for off in (-1.1e-6, 1.1e-6):
        with pytest.raises(InputError, match="rescale"):
            Mixture({do(): 0.5, do(x=1): 0.5 + off})
    with pytest.raises(InputError, match="between 0 and 1"):
        Mixture({do(): 1.0 + 1.1e-6})
    with pytest.raises(InputError, match="between 0 and 1"):
        Mixture({do(): -1e-9, do(x=1): 1.0})


def test_shares_of_rows_from_elsewhere_may_miss_one_by_a_millionth(network: Network) -> None:
    def known(off: float) -> Network:
        shares = {"smoke": {"no": 0.25, "yes": 0.75 + off}, "lung": {"mild": 1.0}}
        found = with_other_of(network, Mixture({do(): 0.5, Target.other(shares): 0.5}))
        assert isinstance(found, Network)
        return found

    for off in (0.0, -0.9e-6, 0.9e-6):
        assert known(off).other is not None
    for off in (-1.1e-6, 1.1e-6):
        with pytest.raises(InputError, match="sum to"):
            known(off)
