"""Intervention targets: what was done to which variables."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from numbers import Integral, Real
from typing import Final

from dosift.errors import InputError
from dosift.model.altered import NUMBERS, Altered, checked_number, escaped, number_text
from dosift.model.other import OTHER_TEXT

#: What a target says of a variable: a state, an exact number, or a change.
Entry = str | float | Altered

#: Names and states that need no quotes in a do.
PLAIN_STATE: Final = re.compile(r"[A-Za-z0-9_.+\-]+")


def _quote(text: str) -> str:
    return text if PLAIN_STATE.fullmatch(text) else escaped(text)


def checked_text(value: object, what: str) -> str:
    """Return a variable or state name as text, or say why it is not one.

    Parameters
    ----------
    value : object
    what : str
        Begins the message.

    Returns
    -------
    str

    Raises
    ------
    InputError
    """
    if isinstance(value, str):
        text = str.__str__(value)  # the text itself, also of an enumeration of texts
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            raise InputError(f"{what} {text!a} is not valid Unicode text") from None
        return text
    if isinstance(value, Integral) and not isinstance(value, bool):
        try:
            return str(int(value))
        except ValueError:  # Python refuses to print integers of thousands of digits
            raise InputError(f"{what} is an integer too long to be a name") from None
    raise InputError(
        f"{what} {value!r} is of type {type(value).__name__}; give the name as text, "
        "exactly as the network has it (integers are taken as their digits)"
    )


def _entry(name: str, value: object) -> Entry:
    if isinstance(value, Altered):
        return value
    if isinstance(value, Real) and not isinstance(value, Integral):
        return checked_number(value, f"the state of {name!r}")
    return checked_text(value, f"the state of {name!r},")


def state_text(entry: str | float) -> str:
    """Return the text of a state or an exact number.

    Parameters
    ----------
    entry : str or float

    Returns
    -------
    str

    Examples
    --------
    >>> state_text("no"), state_text(3.0)
    ('no', '3')
    """
    return entry if isinstance(entry, str) else number_text(entry)


#: Share of a part of the rows from elsewhere, and what each variable looks like in it.
OtherPart = tuple[float, dict[str, dict[str, float]]]


class Target(Mapping[str, Entry]):
    """An intervention target: what is done to which variables.

    A variable is set to a state or an exact number, or its mechanism is changed
    (:class:`~dosift.model.altered.Altered`). Immutable and hashable; equal to another target that
    does the same to the same variables. The empty target is "no intervention". It is a mapping of
    variable names, in their order. Make one with :func:`do` or :func:`change`.

    Parameters
    ----------
    assignments : mapping of str to str, int, float or Altered
        Variable names, and the states or numbers that they are set to, or how they are changed.
        Numbers stand for the states that are written with the same digits.

    Raises
    ------
    InputError
        If a name is no text, or a state is neither text nor a number.

    Examples
    --------
    >>> target = Target({"smoke": "yes", "lung": "no"})
    >>> target
    do(lung=no, smoke=yes)
    >>> target["smoke"], target.size
    ('yes', 2)
    >>> Target({"latency": Altered("shift", (1.2,)), "gene": "off"})
    do(gene=off), shift(latency+1.2)
    """

    __slots__ = ("_elsewhere", "_items")

    def __init__(self, assignments: Mapping[str, object]) -> None:
        self._elsewhere: tuple[OtherPart, ...] | None = None
        if not isinstance(assignments, Mapping):
            raise InputError(
                "a target is made from a mapping of variables to states, not from "
                f"{type(assignments).__name__}; write for example do(smoke='yes')"
            )
        items: dict[str, Entry] = {}
        for key, value in assignments.items():
            if not isinstance(key, str):
                raise InputError(f"the variable name {key!r} is not text")
            name = checked_text(key, "the variable name")
            items[name] = _entry(name, value)
        self._items = dict(sorted(items.items()))

    @classmethod
    def other(
        cls,
        shares: Mapping[str, Mapping[str, float]] | None = None,
        parts: Iterable[tuple[float, Mapping[str, Mapping[str, float]]]] = (),
    ) -> Target:
        """Return what rows from elsewhere have for a target: no intervention explains them.

        Parameters
        ----------
        shares : mapping of str to mapping of str to float, optional
            For each variable, the share of each of its states in these rows; of a number what
            ``dosift.model.other_text`` makes of it, such as ``{"mean": 3.0, "sd": 0.5}``.
        parts : iterable of (float, mapping), optional
            Instead, where they are of several origins: the share of each, and what it looks like.

        Returns
        -------
        Target
            All of them are equal, and touch no variable.

        Examples
        --------
        >>> Target.other(), Target.other().is_other, Target.other() == Target({})
        (other, True, False)
        """
        out = cls({})
        every = tuple(parts) or (((1.0, shares),) if shares else ())
        out._elsewhere = tuple(
            (float(share), {name: dict(one) for name, one in own.items()}) for share, own in every
        )
        return out

    @property
    def is_other(self) -> bool:
        """Whether it is that of rows from elsewhere."""
        return self._elsewhere is not None

    @property
    def shares(self) -> dict[str, dict[str, float]]:
        """What rows from elsewhere look like, for each variable: those of the largest part."""
        return max(self.parts, key=lambda part: part[0])[1] if self.parts else {}

    @property
    def parts(self) -> tuple[OtherPart, ...]:
        """What rows from elsewhere look like: the share of each part, and it for each variable."""
        return self._elsewhere or ()

    def __getitem__(self, name: str) -> Entry:
        return self._items[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def _key(self) -> tuple[tuple[str, str | Altered], ...]:
        """Return what makes it equal to another: a number is the same as its digits."""
        if self.is_other:
            return (("", OTHER_TEXT),)  # no variable's name is empty
        return tuple(
            (name, entry if isinstance(entry, Altered) else state_text(entry))
            for name, entry in self._items.items()
        )

    def __hash__(self) -> int:
        return hash(self._key())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Target) and self._key() == other._key()

    @property
    def size(self) -> int:
        """Number of variables that are set or changed."""
        return len(self._items)

    @property
    def changes(self) -> dict[str, Altered]:
        """Those variables that are changed, not set to a state or an exact number, and how."""
        return {name: entry for name, entry in self._items.items() if isinstance(entry, Altered)}

    @property
    def dos(self) -> dict[str, str | float]:
        """Those variables that are set to a state or an exact number, and to which."""
        return {
            name: entry for name, entry in self._items.items() if not isinstance(entry, Altered)
        }

    def exact(self) -> Target:
        """Return the same target with a text that holds all numbers to the last digit."""
        if self.is_other:
            return self
        return Target(self._items | {name: one.exact() for name, one in self.changes.items()})

    def extends(self, other: Target) -> bool:
        """Whether this target does all that `other` does, in the same way.

        Parameters
        ----------
        other : Target
            The target that may be contained in this one. Every target extends itself and the
            empty target.

        Returns
        -------
        bool

        Examples
        --------
        >>> do(smoke="yes", lung="no").extends(do(smoke="yes"))
        True
        >>> do(smoke="yes").extends(do(smoke="no"))
        False
        """
        return set(other._key()) <= set(self._key())

    def __str__(self) -> str:
        if self.is_other:
            return OTHER_TEXT
        groups: dict[str, list[str]] = {kind: [] for kind in NUMBERS}
        for name, change in self.changes.items():
            groups[change.kind].append(change.text(name))
        parts = [f"{kind}({', '.join(texts)})" for kind, texts in groups.items() if texts]
        if self.dos or not parts:
            dos = (f"{_quote(name)}={_quote(state_text(s))}" for name, s in self.dos.items())
            parts.insert(0, f"do({', '.join(dos)})")
        return ", ".join(parts)

    __repr__ = __str__


def do(mapping: Mapping[str, object] | None = None, /, **states: object) -> Target:
    """Make an intervention target.

    Parameters
    ----------
    mapping : mapping of str to str, int or float, optional
        Variables and the states or numbers that they are set to; for names that are not Python
        words.
    **states : str, int or float
        The same as keywords. With neither, the target is "no intervention".

    Returns
    -------
    Target

    Raises
    ------
    InputError
        If a variable is given twice, or a state is neither text nor a number.

    See Also
    --------
    change : Make a target that sets, shifts or multiplies variables.

    Examples
    --------
    >>> do(smoke="yes", lung="no")
    do(lung=no, smoke=yes)
    >>> do({"blood pressure": "high"}, age=2)
    do(age=2, "blood pressure"=high)
    >>> do(current=3.2)
    do(current=3.2)
    >>> do()
    do()
    """
    given = Target({} if mapping is None else mapping)
    for name in states:
        if name in given:
            raise InputError(f"variable {name!r} is set twice in one target; set it once")
    return Target({**given, **states})


def change(
    *,
    do: Mapping[str, object] | None = None,
    set: Mapping[str, object] | None = None,
    shift: Mapping[str, object] | None = None,
    gain: Mapping[str, object] | None = None,
    fold: Mapping[str, object] | None = None,
    free: Mapping[str, object] | Iterable[str] | None = None,
) -> Target:
    """Make a target that sets, shifts or multiplies variables, in the units of their columns.

    Parameters
    ----------
    do : mapping of str to str, int or float, optional
        States and exact numbers, as in :func:`do`.
    set : mapping of str to (mean, sd), optional
        Distributions that variables are drawn from, whatever their parents are.
    shift : mapping of str to float, optional
        What is added.
    gain : mapping of str to float or (factor, offset), optional
        By what that which the parents make of a variable is multiplied, and what is added.
    fold : mapping of str to float, optional
        By what the mean is multiplied; for counts.
    free : iterable of str, optional
        Variables whose mechanism is another. What it is, a target does not say.

    Returns
    -------
    Target

    Raises
    ------
    InputError
        If a variable is given twice, or a number is missing or out of range.

    Notes
    -----
    A change may also be given by the names of its numbers, as in a mixture file:
    ``set={"ir_1": {"mean": 812, "sd": 35}}``.

    Examples
    --------
    >>> change(do={"gene": "off"}, set={"ir_1": (812, 35)}, shift={"latency": 1.2})
    do(gene=off), set(ir_1~812±35), shift(latency+1.2)
    >>> change(gain={"ir_2": 0.5}, fold={"RIPK2": 0.17}, free=["current"])
    gain(ir_2*0.5), fold(RIPK2*0.17), free(current)
    """
    if free is not None and not isinstance(free, Mapping):
        free = {key: {} for key in ([free] if isinstance(free, str) else free)}
    items: dict[str, object] = dict(Target({} if do is None else do))
    groups = {"set": set, "shift": shift, "gain": gain, "fold": fold, "free": free}
    for kind, group in groups.items():
        if group is not None and not isinstance(group, Mapping):
            raise InputError(
                f"{kind} takes a mapping of variables, not {type(group).__name__}; "
                "write for example shift={'latency': 1.2}"
            )
        for name, value in (group or {}).items():
            if name in items:
                raise InputError(f"variable {name!r} is set twice in one target; set it once")
            try:
                items[name] = Altered.of(kind, value)
            except InputError as error:
                raise InputError(f"the change {kind!r} of {name!r}: {error.message}") from None
    return Target(items)
