"""Changes of a variable as users see them: what was done to it, in the units of its column."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from numbers import Real
from types import MappingProxyType
from typing import Any, Final

from dosift.errors import InputError

#: The numbers of each kind of change, in order, and what those are that may be left out.
NUMBERS: Final[Mapping[str, Mapping[str, float | None]]] = MappingProxyType(
    {
        "set": {"mean": None, "sd": None},
        "shift": {"by": None},
        "gain": {"factor": None, "offset": 0.0},
        "fold": {"factor": None},
        "free": {"number": 1.0},
    }
)
#: Scales, other than that of the column, on which a shift or a gain may act.
SCALES: Final = ("log", "logit")
#: Significant digits of numbers in texts, and those that tell all numbers apart.
_DIGITS, _ALL_DIGITS = 3, 17
#: Names that need no quotes in the text of a change; signs would run into its numbers.
PLAIN: Final = re.compile(r"[A-Za-z0-9_.]+")
#: What else there may be of changes, its value if it is left out, and the kinds that have it.
_MORE: Final = {"noise": ("shift", "gain"), "on": ("shift", "gain")}


def escaped(text: str) -> str:
    r"""Return a JSON string of printable characters on one line.

    Parameters
    ----------
    text : str

    Returns
    -------
    str

    Examples
    --------
    >>> print(escaped("a b\\u2028"))
    "a b\\u2028"
    """
    quoted = json.dumps(text, ensure_ascii=False)
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in quoted)


def number_text(value: float, digits: int = _ALL_DIGITS) -> str:
    """Write a number without an exponent where that is not needed.

    Parameters
    ----------
    value : float
        Finite.
    digits : int, default=17
        Significant ones; from 17 on, as few as tell it from all other numbers.

    Returns
    -------
    str

    Examples
    --------
    >>> number_text(3.0), number_text(0.1), number_text(812.34, 2), number_text(1e-7, 3)
    ('3', '0.1', '810', '1e-07')
    """
    if digits < _ALL_DIGITS:
        value = float(f"{value:.{digits}g}")
    text = repr(float(value) + 0.0)  # no negative zero
    return text.removesuffix(".0")


def checked_number(value: object, what: str) -> float:
    """Return a finite number, or say why it is none.

    Parameters
    ----------
    value : object
    what : str
        Begins the message.

    Returns
    -------
    float

    Raises
    ------
    InputError
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        raise InputError(f"{what} is {value!r}; it must be a number")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise InputError(f"{what} is not finite; give a number")
    return number + 0.0


@dataclass(frozen=True)
class Altered:
    """A change of a variable, in the units of its column.

    Attributes
    ----------
    kind : {"set", "shift", "gain", "fold", "free"}
        *set*: drawn from a distribution of its own, whatever its parents are. *shift*: moved.
        *gain*: what its parents make of it times a factor, plus an offset. *fold*: its mean
        multiplied. *free*: another mechanism.
    numbers : tuple of float
        Mean and standard deviation of *set*; what a *shift* adds; factor and offset of a *gain*;
        factor of a *fold*; of *free* a number that tells it from other free ones.
    on : {"", "log", "logit"}
        For *shift* and *gain*: the scale on which they act, if that is not the column's own.
    noise : float
        For *shift* and *gain*: by which the noise is multiplied.
    digits : int
        Significant ones in the text. Changes that differ in nothing else are equal.

    Raises
    ------
    InputError
        If a number is missing, not finite or out of range.

    Examples
    --------
    >>> Altered("set", (812.0, 35.1)).text("ir_1")
    'ir_1~812±35'
    >>> Altered("shift", (0.8,), on="logit").text("error_rate")
    'logit(error_rate)+0.8'
    >>> Altered("gain", (0.5, 3.0)).to_dict()
    {'factor': 0.5, 'offset': 3.0}
    """

    kind: str
    numbers: tuple[float, ...] = ()
    on: str = ""
    noise: float = 1.0
    digits: int = field(default=_DIGITS, compare=False, repr=False)

    def __post_init__(self) -> None:
        if self.kind not in NUMBERS:
            raise InputError(f"{self.kind!r} is no kind of change; they are {_listed(NUMBERS)}")
        wanted = NUMBERS[self.kind]
        given = self.numbers
        if not isinstance(given, Sequence) or isinstance(given, str):
            given = (given,)
        if len(given) > len(wanted):
            raise InputError(
                f"{self.kind} has {len(given)} numbers; it takes {_listed(wanted)} only"
            )
        pairs = dict(zip(wanted, given, strict=False))
        numbers = tuple(_number(self.kind, name, pairs.get(name)) for name in wanted)
        object.__setattr__(self, "numbers", numbers)
        object.__setattr__(self, "noise", checked_number(self.noise, "'noise'"))
        for name, kinds in _MORE.items():
            if getattr(self, name) not in ("", 1.0) and self.kind not in kinds:
                raise InputError(f"{self.kind} has no {name!r}")
        if self.on not in ("", *SCALES):
            raise InputError(f"'on' is {self.on!r}; it is {_listed(SCALES)}")
        if not self.noise > 0:
            raise InputError(f"'noise' is {self.noise:g}; it must be above 0")

    def __getitem__(self, name: str) -> float:
        return self.numbers[list(NUMBERS[self.kind]).index(name)]

    @property
    def shows_all(self) -> bool:
        """Whether the text holds all numbers, not those alone that readers need."""
        return self.digits > _DIGITS

    def exact(self) -> Altered:
        """Return the same change with a text that holds all of it."""
        return replace(self, digits=_ALL_DIGITS)

    def text(self, variable: str) -> str:
        """Write the change of a variable, rounded for reading.

        Parameters
        ----------
        variable : str

        Returns
        -------
        str
            Without the name of its kind. A gain's offset and a factor of the noise are left out
            unless they are needed to tell changes apart.
        """
        name = variable if PLAIN.fullmatch(variable) else escaped(variable)
        if self.on:
            name = f"{self.on}({name})"
        first = self.numbers[0]
        if self.kind == "set":
            own = f"{name}~{self._mean()}±{number_text(self['sd'], self._digits(2))}"
        elif self.kind == "shift":
            own = name + _signed(first, self.digits)
        elif self.kind == "free":
            own = name if first == 1 else f"{name}#{number_text(first)}"
        else:
            own = f"{name}*{number_text(first, self.digits)}"
            if self.kind == "gain" and self.shows_all and self["offset"]:
                own += _signed(self["offset"], self.digits)
        if self.noise != 1.0 and self.shows_all:
            own += f" noise*{number_text(self.noise, self.digits)}"
        return own

    def effect(self) -> str:
        """Write what the change does, without the name of its variable.

        Returns
        -------
        str

        Examples
        --------
        >>> Altered("set", (812.0, 35.1)).effect(), Altered("shift", (0.8,), on="logit").effect()
        ('~812±35', 'logit +0.8')
        """
        own = replace(self, on="").text("x").removeprefix("x")
        return " ".join(part for part in (self.on, own or "free") if part)

    def _digits(self, fewest: int) -> int:
        return self.digits if self.shows_all else fewest

    def _mean(self) -> str:
        """Mean of what a variable is set to, to the second digit of the standard deviation."""
        mean, sd = self.numbers
        if self.shows_all or mean == 0:
            return number_text(mean, self.digits)
        more = math.floor(math.log10(abs(mean))) - math.floor(math.log10(sd)) + 2
        return number_text(mean, min(max(self.digits, more), _ALL_DIGITS))

    def to_dict(self) -> dict[str, Any]:
        """Return the change as a mixture file has it.

        Returns
        -------
        dict
        """
        content: dict[str, Any] = dict(zip(NUMBERS[self.kind], self.numbers, strict=True))
        if self.kind == "free":
            content = {} if self.numbers[0] == 1 else {"number": int(self.numbers[0])}
        if self.noise != 1.0:
            content["noise"] = self.noise
        if self.on:
            content["on"] = self.on
        return content

    @classmethod
    def of(cls, kind: str, value: object) -> Altered:
        """Make a change from what a user or a file gives.

        Parameters
        ----------
        kind : str
        value : Altered, float, sequence of float or mapping
            The change itself, its number or numbers in order, or those by name.

        Returns
        -------
        Altered

        Raises
        ------
        InputError

        Examples
        --------
        >>> Altered.of("set", (3, 1)) == Altered.of("set", {"mean": 3, "sd": 1})
        True
        """
        if isinstance(value, Altered):
            if value.kind != kind:
                raise InputError(f"a change of kind {value.kind!r} stands where {kind!r} should")
            return value
        if isinstance(value, Mapping):
            return _from_mapping(kind, value)
        if isinstance(value, Sequence) and not isinstance(value, str):
            return cls(kind, tuple(value))
        return cls(kind, (value,))  # type: ignore[arg-type]


def _from_mapping(kind: str, content: Mapping[Any, Any]) -> Altered:
    wanted = NUMBERS.get(kind, {})
    more = [name for name, kinds in _MORE.items() if kind in kinds]
    for key in content:
        if key not in wanted and key not in more:
            raise InputError(
                f"has an unknown key {key!r}; it may hold {_listed([*wanted, *more])} only"
            )
    for key, default in wanted.items():
        if key not in content and default is None:
            raise InputError(f"has no key {key!r}")
    numbers = tuple(content.get(name, default) for name, default in wanted.items())
    return Altered(kind, numbers, content.get("on", ""), content.get("noise", 1.0))


def _number(kind: str, name: str, value: object) -> float:
    if value is None:
        value = NUMBERS[kind][name]
        if value is None:
            raise InputError(f"{kind} needs its {name!r}")
    number = checked_number(value, repr(name))
    if name == "sd" and not number > 0:
        raise InputError(f"'sd' is {number:g}; it must be above 0 (an exact value is a do)")
    if kind == "fold" and number < 0:
        raise InputError(f"'factor' is {number:g}; a mean is multiplied by 0 or more")
    if name == "number" and (number < 1 or number != int(number)):
        raise InputError(f"'number' is {number:g}; it counts from 1")
    return number


def _signed(value: float, digits: int) -> str:
    text = number_text(value, digits)
    return text if text.startswith("-") else f"+{text}"


def _listed(names: object) -> str:
    return " and ".join(repr(name) for name in names)  # type: ignore[attr-defined]
