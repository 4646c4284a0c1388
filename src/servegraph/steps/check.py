"""Assert: says in a test what must come to a place of a graph."""

from __future__ import annotations

import operator
from collections.abc import Callable, Collection
from typing import Any, Final, Self, TypeAlias, Unpack

from servegraph.bodies import copy_body
from servegraph.events import Event
from servegraph.steps.base import Options, StepBase, checked

_Count: TypeAlias = tuple[Callable[[int, int], bool], str, int]

_NONE: Final = "none"
_SOME: Final = "some"
_ALL: Final = "all"
_EXACTLY: Final = "exactly"


class Assert(StepBase):
    """Passes on events, and raises AssertionError where they are not as was said: for each, or in ``check`` for all.

    ``Assert().each_event(lambda body: body > 0).exactly(3)``; what comes is kept, with ``full_event`` as events.
    """

    def __init__(self, **options: Unpack[Options]) -> None:
        """Start with nothing said."""
        super().__init__(**options)
        self._predicates: list[Callable[[Any], Any]] = []
        self._counts: list[_Count] = []
        self._collections: list[tuple[str, Collection[Any]]] = []
        self.post_init()

    def post_init(self, mode: str = "sync") -> None:
        """Forget what has come."""
        self.seen_so_far: list[Any] = []

    def each_event(self, predicate: Callable[[Any], Any]) -> Self:
        """Say that the predicate is true for each."""
        self._predicates.append(checked(predicate, "the predicate of Assert"))
        return self

    def exactly(self, count: int) -> Self:
        """Say how many come."""
        return self._count(operator.eq, "==", count)

    def greater_than(self, count: int) -> Self:
        """Say that more than so many come."""
        return self._count(operator.gt, ">", count)

    def greater_or_equal_to(self, count: int) -> Self:
        """Say that at least so many come."""
        return self._count(operator.ge, ">=", count)

    def less_than(self, count: int) -> Self:
        """Say that fewer than so many come."""
        return self._count(operator.lt, "<", count)

    def less_or_equal_to(self, count: int) -> Self:
        """Say that at most so many come."""
        return self._count(operator.le, "<=", count)

    def match_exactly(self, expected: Collection[Any]) -> Self:
        """Say that just these come, each as often as it is named, in any order."""
        return self._hold(_EXACTLY, expected)

    def contains_all_of(self, expected: Collection[Any]) -> Self:
        """Say that each of these comes."""
        return self._hold(_ALL, expected)

    def contains_any_of(self, expected: Collection[Any]) -> Self:
        """Say that at least one of these comes."""
        return self._hold(_SOME, expected)

    def contains_none_of(self, expected: Collection[Any]) -> Self:
        """Say that none of these comes."""
        return self._hold(_NONE, expected)

    def do_event(self, event: Event) -> Event:
        """Keep what comes; raises AssertionError where a predicate is false."""
        seen = self.seen(event)
        for predicate in self._predicates:
            if not predicate(seen):
                raise AssertionError(f"{getattr(predicate, '__name__', 'the predicate')} is false for {seen!r}")
        self.seen_so_far.append(seen.copy() if self.full_event else copy_body(seen))
        return event

    def check(self) -> None:
        """Raise AssertionError where all that has come is not what was said."""
        for compare, sign, expected in self._counts:
            if not compare(len(self.seen_so_far), expected):
                raise AssertionError(f"expected event count {sign} {expected}, got {len(self.seen_so_far)} instead")
        for how, collection in self._collections:
            self._compare(how, list(collection))

    def _compare(self, how: str, expected: list[Any]) -> None:
        missing, left = _difference(expected, self.seen_so_far)
        if how == _EXACTLY and (missing or left):
            raise AssertionError(f"expected exactly {expected!r}: missing {missing!r}, not expected {left!r}")
        if how == _ALL and any(each not in self.seen_so_far for each in expected):
            raise AssertionError(f"expected all of {expected!r}: missing {missing!r}")
        if how == _SOME and not any(each in self.seen_so_far for each in expected):
            raise AssertionError(f"expected any of {expected!r}, got {self.seen_so_far!r}")
        if how == _NONE and any(each in self.seen_so_far for each in expected):
            raise AssertionError(f"expected none of {expected!r}, got {self.seen_so_far!r}")

    def _count(self, compare: Callable[[int, int], bool], sign: str, count: int) -> Self:
        self._counts.append((compare, sign, count))
        return self

    def _hold(self, how: str, expected: Collection[Any]) -> Self:
        self._collections.append((how, expected))
        return self


def _difference(expected: list[Any], got: list[Any]) -> tuple[list[Any], list[Any]]:
    """Return what is missing and what is left over, counting how often each is there."""
    missing, left = [], list(got)
    for each in expected:
        if each in left:
            left.remove(each)
        else:
            missing.append(each)
    return missing, left
