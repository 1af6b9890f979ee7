"""What is known about the interventions before any row is seen, in names."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dosift.errors import InputError, nearest
from dosift.model import Mixture, Target, parse_target
from dosift.model.arrays import Ints
from dosift.model.network import Network
from dosift.model.other import OTHER_TEXT

if TYPE_CHECKING:
    from dosift.search.constraints import Constraints

_OPENING = re.compile(r"\s*(do|set|shift|gain|fold|free)\s*\(")
#: How far beyond one the known weights may sum, for rounding.
_SUM_TOLERANCE = 1e-9


@dataclass(frozen=True, init=False)
class PriorKnowledge:
    """What is known about the targets of a mixture and their weights.

    Targets are given as :class:`Target` or as text (``"do(smoke=yes)"``, or shorter
    ``"smoke=yes"``). By what a number is changed is found from the rows; so of a number they say
    only that it is changed: ``"free(latency)"``, or shorter ``"latency"``. What is required
    stays by whatever change the rows show; what has a known weight is one target.

    Parameters
    ----------
    candidates : iterable of target, optional
        The only targets that may occur (besides `required` ones and those of known weight). There
        is then no search: the candidates are weighed, and those that do not earn their place
        are dropped.
    forbidden : iterable of target, optional
        Targets that do not occur. Others that contain them may. With ``"other"`` among them rows
        from elsewhere get no line of their own: only the verdict speaks of them.
    excluded : iterable of target, optional
        Settings that no target contains: ``"smoke=yes"`` for a value that cannot be set,
        ``"do(smoke=yes, lung=no)"`` for values that cannot be set together.
    non_manipulable : iterable of str, optional
        Names of variables that no target sets.
    required : iterable of target, optional
        Targets that are known to occur: never dropped, even if their weight comes out as zero.
    known_weights : mapping of target to float, optional
        Targets whose weight is known; the weights of all others are estimated, and share what
        is left.

    Raises
    ------
    InputError
        If a target's text is malformed, the known weights are no weights or sum to more than one,
        or what is said contradicts itself.

    Examples
    --------
    >>> known = PriorKnowledge(non_manipulable=["age"], known_weights={"do()": 0.9})
    >>> known.known_weights
    ((do(), 0.9),)
    """

    candidates: tuple[Target, ...] | None
    forbidden: tuple[Target, ...]
    excluded: tuple[Target, ...]
    non_manipulable: tuple[str, ...]
    required: tuple[Target, ...]
    known_weights: tuple[tuple[Target, float], ...]

    def __init__(
        self,
        *,
        candidates: Iterable[Target | str] | None = None,
        forbidden: Iterable[Target | str] = (),
        excluded: Iterable[Target | str] = (),
        non_manipulable: Iterable[str] = (),
        required: Iterable[Target | str] = (),
        known_weights: Mapping[Any, float] | Iterable[tuple[Any, float]] = (),
    ) -> None:
        given: dict[str, object] = {
            "candidates": None if candidates is None else _targets(candidates, "candidates"),
            "forbidden": _targets(forbidden, "forbidden"),
            "excluded": _targets(excluded, "excluded"),
            "non_manipulable": _names(non_manipulable),
            "required": _targets(required, "required"),
            "known_weights": _weights(known_weights),
        }
        for name, value in given.items():
            object.__setattr__(self, name, value)
        self._check()

    def __bool__(self) -> bool:
        return self != PriorKnowledge()

    def _check(self) -> None:
        if not all(self.excluded):
            raise InputError(
                "excluded holds do(), which every target contains; to say that every unit was "
                "intervened on, put do() under forbidden"
            )
        total = math.fsum(weight for _, weight in self.known_weights)
        if total > 1 + _SUM_TOLERANCE:
            raise InputError(f"the known weights sum to {total:.9g}, more than 1; lower them")
        for what, listed in (
            ("a candidate", self.candidates or ()),
            ("required", self.required),
            ("of known weight", [target for target, weight in self.known_weights if weight > 0]),
        ):
            for target in listed:
                reason = self.refusal(target)
                if reason is not None:
                    raise InputError(f"{target} is {what}, but {reason}; take one of them back")
        if self.candidates == () and not self.required and total < 1 - _SUM_TOLERANCE:
            raise InputError(
                "the list of candidates is empty, so that nothing could explain the rows; list "
                "the targets that may occur, do() among them if units may be undisturbed"
            )

    def refusal(self, target: Target) -> str | None:
        """Say why a target may not occur.

        Parameters
        ----------
        target : Target

        Returns
        -------
        str or None
            None if it may, as far as forbidden and excluded targets and variables that cannot be
            manipulated tell.

        Examples
        --------
        >>> PriorKnowledge(excluded=["a=1"]).refusal(Target({"a": "1", "b": "0"}))
        'it contains do(a=1), which is excluded'
        """
        if target in self.forbidden:
            return "it is forbidden"
        for part in self.excluded:
            if target.extends(part):
                return f"it contains {part}, which is excluded"
        for name in self.non_manipulable:
            if name in target:
                return f"it sets {name!r}, which is not manipulable"
        return None

    def permits(self, target: Target) -> bool:
        """Whether a target may occur in the mixture.

        Parameters
        ----------
        target : Target

        Returns
        -------
        bool

        Examples
        --------
        >>> PriorKnowledge(candidates=["do()", "a=1"]).permits(Target({"a": "0"}))
        False
        """
        if target in self.required or target in dict(self.known_weights):
            return True
        return self.refusal(target) is None and (
            self.candidates is None or target in self.candidates
        )

    @property
    def forbidden_interventions(self) -> tuple[Target, ...]:
        """What is forbidden, but for rows from elsewhere."""
        return tuple(target for target in self.forbidden if not target.is_other)

    @property
    def forbids_other(self) -> bool:
        """Whether rows from elsewhere are to have no line of their own."""
        return any(target.is_other for target in self.forbidden)

    def and_also(self, other: PriorKnowledge) -> PriorKnowledge:
        """Join with further knowledge.

        Parameters
        ----------
        other : PriorKnowledge

        Returns
        -------
        PriorKnowledge
            All that either says; candidates of both.
        """
        both = (self.candidates, other.candidates)
        listed = [target for targets in both if targets is not None for target in targets]
        return PriorKnowledge(
            candidates=None if both == (None, None) else listed,
            forbidden=self.forbidden + other.forbidden,
            excluded=self.excluded + other.excluded,
            non_manipulable=self.non_manipulable + other.non_manipulable,
            required=self.required + other.required,
            known_weights=self.known_weights + other.known_weights,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return what a file of prior knowledge holds, ready for JSON.

        Examples
        --------
        >>> PriorKnowledge(required=["a=1"], known_weights={"do()": 0.5}).to_dict()
        {'required': ['do(a=1)'], 'known_weights': {'do()': 0.5}}
        """
        content: dict[str, Any] = {
            "candidates": self.candidates and [str(t) for t in self.candidates],
            "forbidden": [str(t) for t in self.forbidden],
            "excluded": [str(t) for t in self.excluded],
            "non_manipulable": list(self.non_manipulable),
            "required": [str(t) for t in self.required],
            "known_weights": {str(t): weight for t, weight in self.known_weights},
        }
        return {key: value for key, value in content.items() if value}

    @classmethod
    def from_dict(cls, content: object) -> PriorKnowledge:
        """Make it from the content of a file.

        Parameters
        ----------
        content : mapping
            Some of the parameters by name; a target is text, or a mapping of variables to states.

        Raises
        ------
        InputError
            If there is anything else in it.
        """
        if not isinstance(content, Mapping):
            raise InputError('prior knowledge is a JSON object, such as {"forbidden": [...]}')
        repeated = getattr(content, "repeated", None)
        if repeated is not None:
            raise InputError(f"the key {repeated!r} stands there twice; keep one")
        known = ("candidates", "forbidden", "excluded", "non_manipulable", "required")
        for key, value in content.items():
            if key in known and not isinstance(value, list):
                raise InputError(f"{key!r} must be a list")
            if key == "known_weights":
                if not isinstance(value, Mapping):
                    raise InputError("'known_weights' must be an object of targets and weights")
                again = getattr(value, "repeated", None)
                if again is not None:
                    raise InputError(f"'known_weights' has the key {again!r} twice")
            elif key not in known:
                listed = ", ".join((*known, "known_weights"))
                raise InputError(f"there is an unknown key {key!r}; the keys are {listed}")
        return cls(**content)

    @classmethod
    def read(cls, path: str | Path) -> PriorKnowledge:
        """Read a file of prior knowledge (JSON).

        Parameters
        ----------
        path : str or Path

        Raises
        ------
        InputError
            If the file cannot be read or is malformed.
        """
        from dosift.model.mixture_file import read_json

        content = read_json(path)
        try:
            return cls.from_dict(content)
        except InputError as error:
            raise InputError(error.message, path=path) from None

    def check_sizes(self, max_size: int | None, verb: str) -> None:
        """Refuse targets that must occur and are larger than targets may be."""
        for target in (*self.required, *dict(self.known_weights)):
            if max_size is not None and target.size > max_size:
                raise InputError(
                    f"{target} is required or of known weight, but {verb} {target.size} variables; "
                    f"max_size is {max_size}"
                )

    def constraints(self, network: Network, max_size: int | None = None) -> Constraints:
        """Return the same as arrays of state codes.

        Parameters
        ----------
        network : Network
            Its variables and states are meant.
        max_size : int, optional
            Largest number of variables that a target sets.

        Returns
        -------
        Constraints

        Raises
        ------
        InputError
            If the network lacks a variable or state, a target that must occur is larger than
            `max_size`, or nothing is left that may occur.
        """
        from dosift.search.constraints import Constraints, left_to_exclude

        known = dict(self.known_weights)
        self.check_sizes(max_size, "sets")
        allowed = Constraints.none(network.cardinalities).allowed
        for name in self.non_manipulable:
            # A target with an unknown state would be refused; the name is all that matters here.
            position = network.positions.get(name)
            if position is None:
                raise InputError(
                    f"{name!r} is said to be not manipulable, and the network has no such "
                    f"variable{_hint(name, network.names)}"
                )
            allowed[position] = False
        excluded = left_to_exclude(allowed, _codes(network, self.excluded), network.cardinalities)
        return Constraints(
            allowed=allowed,
            excluded=excluded,
            forbidden=_codes(network, self.forbidden_interventions),
            required=_codes(network, [t for t in self.required if t not in known]),
            known=_codes(network, list(known)),
            known_weights=np.array(list(known.values()), dtype=np.float64),
            candidates=None if self.candidates is None else _codes(network, self.candidates),
        )


def read_target(text: str) -> Target:
    """Read a target from its text, where ``do(...)`` around it may be left out.

    Parameters
    ----------
    text : str

    Returns
    -------
    Target

    Raises
    ------
    InputError
        If the text is malformed.

    Examples
    --------
    >>> read_target("a=1, b=0"), read_target("do()")
    (do(a=1, b=0), do())
    """
    return parse_target(text if _OPENING.match(text) else f"do({text})")


def _target(given: object, where: str) -> Target:
    if where == "forbidden" and given == OTHER_TEXT:
        return Target.other()
    if isinstance(given, Target):
        if given.is_other and where != "forbidden":
            raise InputError(
                f"{where}: {given} (rows from elsewhere) is no intervention; it may only be "
                "forbidden"
            )
        return given
    try:
        if isinstance(given, str):
            return read_or_named(given)
        if isinstance(given, Mapping):
            return Target(given)
    except InputError as error:
        raise InputError(f"{where}: {error.message}") from None
    raise InputError(f"{where} holds {given!r}; give targets, such as 'do(smoke=yes)'")


def read_or_named(text: str) -> Target:
    """Read a target, or names of variables that are changed in any way.

    Parameters
    ----------
    text : str

    Returns
    -------
    Target

    Raises
    ------
    InputError
        If the text is malformed.

    Examples
    --------
    >>> read_or_named("latency, errors"), read_or_named("gene=off")
    (free(errors, latency), do(gene=off))
    """
    try:
        return read_target(text)
    except InputError:
        try:
            return parse_target(f"free({text})")
        except InputError:
            pass
        raise


def _targets(given: object, where: str) -> tuple[Target, ...]:
    if isinstance(given, str | Target | Mapping) or not isinstance(given, Iterable):
        raise InputError(f"{where} is {given!r}; give a list of targets")
    return tuple(dict.fromkeys(_target(one, where) for one in given))


def _names(given: object) -> tuple[str, ...]:
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise InputError(f"non_manipulable is {given!r}; give a list of names of variables")
    names = tuple(dict.fromkeys(given))
    for name in names:
        if not isinstance(name, str):
            raise InputError(f"non_manipulable holds {name!r}, which is no name of a variable")
    return names


def _weights(given: object) -> tuple[tuple[Target, float], ...]:
    if not isinstance(given, Iterable) or isinstance(given, str):
        raise InputError(f"known_weights is {given!r}; give a mapping of targets to weights")
    found: dict[Target, float] = {}
    for key, weight in given.items() if isinstance(given, Mapping) else given:
        target = _target(key, "known_weights")
        is_number = isinstance(weight, int | float | np.number) and not isinstance(weight, bool)
        if not is_number or not 0 <= weight <= 1:
            raise InputError(
                f"the known weight of {target} is {weight!r}; weights lie between 0 and 1"
            )
        if found.setdefault(target, float(weight)) != weight:
            raise InputError(f"the weight of {target} is given twice, and differs; keep one")
    return tuple(found.items())


def _codes(network: Network, targets: Iterable[Target]) -> Ints:
    listed = list(targets)
    codes: Ints = np.full((len(listed), network.n_variables), -1, dtype=np.int16)
    for row, target in zip(codes, listed, strict=True):
        row[:] = Mixture({target: 1.0}).to_codes(network)[0][0]
    return codes


def _hint(name: str, known: Iterable[str]) -> str:
    near = nearest(name, known)
    return f"; did you mean {near!r}?" if near is not None else ""
