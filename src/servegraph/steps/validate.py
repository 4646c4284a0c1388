"""FeaturesetValidator: features that break their rules do not pass unnoticed."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Final, Literal, TypeAlias, Unpack, get_args

from servegraph.errors import BadEvent, nearest
from servegraph.events import DROP, Event
from servegraph.steps.base import Options, StepBase
from servegraph.steps.rows import Row, is_missing

Policy: TypeAlias = Literal["error", "drop", "report"]
_Check: TypeAlias = Callable[[Any], str]
"""Returns what is wrong with a value, nothing where it is right."""

_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "int": (int,), "float": (int, float), "str": (str,), "bool": (bool,), "list": (list, tuple), "dict": (dict,),
}  # fmt: skip


class FeaturesetValidator(StepBase):
    """Checks features against rules: an event that breaks one fails, is dropped or is reported, as the policy says.

    Violations are kept as texts in the event's ``violations``, at ``result_path`` and, with ``report``, in the log.
    """

    QUICK = True

    def __init__(
        self,
        rules: Mapping[str, Mapping[str, Any]],
        policy: Policy = "error",
        columns: Collection[str] | None = None,
        **options: Unpack[Options],
    ) -> None:
        """Take the rules of each feature, what becomes of events that break one, and which features to look at.

        Rules: ``type`` (``int``, ``float``, ``str``, ``bool``, ``list``, ``dict``), ``min``, ``max``, ``min_len``,
        ``max_len``, ``regex`` (the whole text), ``choices``, ``required`` (may not be missing, ``None`` or NaN).
        Raises ValueError for any other rule, type or policy.
        """
        super().__init__(**options)
        if policy not in get_args(Policy):
            known = get_args(Policy)
            raise ValueError(f"policy must be one of {', '.join(known)}, not {policy!r}{nearest(str(policy), known)}")
        self.rules = {feature: dict(given) for feature, given in rules.items()}
        self.policy = policy
        self.columns = None if columns is None else list(columns)
        looked_at = self.rules if self.columns is None else [each for each in self.rules if each in self.columns]
        self._required = {each for each in looked_at if self.rules[each].get("required")}
        self._checks = {each: list(_checks(each, self.rules[each])) for each in looked_at}

    def do_event(self, event: Event) -> Any:
        """Check the event's features: of a dict, or of each dict in a list."""
        value = self.value(event)
        rows = value if isinstance(value, list | tuple) else [value]
        wrong = [told for number, row in enumerate(rows) for told in self._violations(row, number, len(rows))]
        event.__dict__["violations"] = wrong
        if self.result_path:
            self.put(event, wrong)
        if not wrong:
            return event
        if self.policy == "error":
            raise BadEvent("; ".join(wrong))
        if self.policy == "drop":
            return DROP
        if self.context is not None:
            self.context.logger.warning(f"event {event.id} breaks rules in step '{self.name}': {'; '.join(wrong)}")
        return event

    def _violations(self, row: Any, number: int, rows: int) -> Iterator[str]:
        if not isinstance(row, dict):
            raise BadEvent(f"FeaturesetValidator needs a dict or a list of dicts, not {type(row).__name__}")
        where = f"row {number}: " if rows > 1 else ""
        yield from (f"{where}{told}" for told in self._broken(row))

    def _broken(self, row: Row) -> Iterator[str]:
        for feature, checks in self._checks.items():
            value = row.get(feature)
            if is_missing(value):
                if feature in self._required:
                    yield f"'{feature}' is missing"
                continue
            wrong = next((told for told in (check(value) for check in checks) if told), "")
            if wrong:
                yield f"'{feature}' {wrong}"


def _checks(feature: str, rules: dict[str, Any]) -> Iterator[_Check]:
    """Return the checks of one feature, the one of its type first."""
    for name in rules:
        if name not in _MAKERS and name != "required":
            known = [*_MAKERS, "required"]
            raise ValueError(f"'{feature}' has an unknown rule '{name}', known are {', '.join(known)}"
                             f"{nearest(name, known)}")  # fmt: skip
    for name, make in _MAKERS.items():
        if name in rules:
            yield make(rules[name])


def _of_type(name: Any) -> _Check:
    if name not in _TYPES:
        raise ValueError(f"a rule's type must be one of {', '.join(_TYPES)}, not {name!r}{nearest(str(name), _TYPES)}")
    types = _TYPES[name]

    def check(value: Any) -> str:
        right = isinstance(value, types) and (name == "bool" or type(value) is not bool)
        return "" if right else f"must be {name}, not {type(value).__name__}"

    return check


def _at_least(low: Any) -> _Check:
    return lambda value: "" if _holds(operator.ge, value, low) else f"is {value!r}, below {low!r}"


def _at_most(high: Any) -> _Check:
    return lambda value: "" if _holds(operator.le, value, high) else f"is {value!r}, above {high!r}"


def _holds(compare: Callable[[Any, Any], bool], value: Any, limit: Any) -> bool:
    try:
        return compare(value, limit)
    except TypeError:  # what cannot be compared is not within limits either
        return False


def _long(low: Any) -> _Check:
    return lambda value: "" if _length(value) >= low else f"has length {_length(value)}, below {low}"


def _short(high: Any) -> _Check:
    return lambda value: "" if _length(value) <= high else f"has length {_length(value)}, above {high}"


def _length(value: Any) -> int:
    return len(value if isinstance(value, str | list | tuple | dict) else str(value))


def _matching(regex: Any) -> _Check:
    pattern = re.compile(regex)
    return lambda value: "" if pattern.fullmatch(str(value)) else f"is {value!r}, which does not match {regex!r}"


def _one_of(choices: Any) -> _Check:
    known = list(choices)
    return lambda value: "" if value in known else f"is {value!r}, which is none of {known!r}"


_MAKERS: Final[dict[str, Callable[[Any], _Check]]] = {
    "type": _of_type, "min": _at_least, "max": _at_most, "min_len": _long, "max_len": _short,
    "regex": _matching, "choices": _one_of,
}  # fmt: skip
