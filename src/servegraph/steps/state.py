"""Steps that remember: MapWithState and Reduce; they see events one at a time, in the order of arrival."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Unpack

from servegraph.bodies import copy_body
from servegraph.context import Context
from servegraph.events import DROP, Event
from servegraph.steps.base import Options, StepBase, awaits, checked


class MapWithState(StepBase):
    """Replaces the body by the first of what ``fn(body, state)`` returns; the second is the state for the next event.

    With ``group_by_key`` every key (``event.key``) has a state of its own. An async ``fn`` lets events of other keys
    run meanwhile, but not those that share its state.
    """

    def __init__(
        self,
        initial_state: Any,
        fn: Callable[..., Any],
        group_by_key: bool = False,
        *,
        long_running: bool | None = None,
        pass_context: bool | None = None,
        **options: Unpack[Options],
    ) -> None:
        """Take what the state is at first: a value, copied for every start, or a function that returns one.

        With ``group_by_key``, each key starts with it; a dict of dicts holds the states of known keys instead, and
        any other key starts with an empty one.
        """
        super().__init__(**options)
        self.initial_state = initial_state
        self.fn = checked(fn, "the fn of MapWithState")
        self.group_by_key = group_by_key
        self.long_running = long_running
        self.pass_context = pass_context
        self._turns = Turns()
        self.post_init()

    def post_init(self, mode: str = "sync") -> None:
        """Forget all states."""
        initial = self.initial_state
        is_table = self.group_by_key and isinstance(initial, dict) and _holds_dicts(initial)
        self._fresh: Callable[[], Any] = dict if is_table else lambda: fresh(initial)
        self._states: dict[Any, Any] = fresh(initial) if is_table else {}

    @property
    def states(self) -> dict[Any, Any]:
        """The states by key; without ``group_by_key`` there is one, of the key ``None``."""
        return self._states

    @property
    def do_event(self) -> Callable[[Event], Any]:
        """What calls the function and keeps the state."""
        return self._awaited if awaits(self.fn) else self._called

    def close(self) -> None:
        """Close the states that can be closed."""
        for state in self._states.values():
            close = getattr(state, "close", None)
            if close is not None:
                close()

    def _called(self, event: Event) -> Any:
        key = self._key(event)
        return self._keep(event, key, self._ask(event, key))

    async def _awaited(self, event: Event) -> Any:
        key = self._key(event)
        async with self._turns.of(key):
            return self._keep(event, key, await self._ask(event, key))

    def _ask(self, event: Event, key: Any) -> Any:
        if key not in self._states:
            self._states[key] = self._fresh()
        told: dict[str, Context | None] = {"context": self.context} if self.pass_context else {}
        return self.fn(self.seen(event), self._states[key], **told)

    def _keep(self, event: Event, key: Any, result: Any) -> Any:
        if not isinstance(result, tuple) or len(result) != 2:
            told = "return body, state"
            if asyncio.iscoroutine(result):
                result.close()
                told = "make it 'async def'"
            raise TypeError(f"the fn of MapWithState must return two values, not {type(result).__name__}: {told}")
        value, self._states[key] = result
        if value is DROP or self.full_event:
            return value
        return self.put(event, value)

    def _key(self, event: Event) -> Any:
        if not self.group_by_key:
            return None
        return tuple(event.key) if isinstance(event.key, list) else event.key


class Reduce(StepBase):
    """Makes one value of all events: ``fn(value, body)`` returns the next; ``result`` is what it has come to.

    Events end here.
    """

    LAST = True

    def __init__(
        self,
        initial_value: Any,
        fn: Callable[..., Any],
        *,
        long_running: bool | None = None,
        pass_context: bool | None = None,
        **options: Unpack[Options],
    ) -> None:
        """Take the first value, copied for every start, and the function, sync or async."""
        super().__init__(**options)
        self.initial_value = initial_value
        self.fn = checked(fn, "the fn of Reduce")
        self.long_running = long_running
        self.pass_context = pass_context
        self._turns = Turns()
        self.post_init()

    def post_init(self, mode: str = "sync") -> None:
        """Start again with the first value."""
        self._value = fresh(self.initial_value) if not callable(self.initial_value) else self.initial_value

    @property
    def result(self) -> Any:
        """What the events since the start have come to."""
        return self._value

    @property
    def do_event(self) -> Callable[[Event], Any]:
        """What takes an event into the value."""
        return self._awaited if awaits(self.fn) else self._called

    def _called(self, event: Event) -> Any:
        value = self._ask(event)
        if asyncio.iscoroutine(value):
            value.close()
            raise TypeError("the fn of Reduce returned something to await: make it 'async def'")
        self._value = value
        return DROP

    async def _awaited(self, event: Event) -> Any:
        async with self._turns.of(None):
            self._value = await self._ask(event)
        return DROP

    def _ask(self, event: Event) -> Any:
        told: dict[str, Context | None] = {"context": self.context} if self.pass_context else {}
        return self.fn(self._value, self.seen(event), **told)


class Turns:
    """Lets those with the same key in one after the other, in the order in which they asked."""

    def __init__(self) -> None:
        """Start with nobody inside."""
        self._locks: dict[Any, tuple[asyncio.Lock, int]] = {}

    @asynccontextmanager
    async def of(self, key: Any) -> AsyncIterator[None]:
        """Wait for a turn, and keep it."""
        lock, users = self._locks.get(key) or (asyncio.Lock(), 0)
        self._locks[key] = lock, users + 1
        try:
            async with lock:
                yield
        finally:
            lock, users = self._locks.pop(key)
            if users > 1:
                self._locks[key] = lock, users - 1


def fresh(initial: Any) -> Any:
    """Return a value that no one else has: what a function returns, else a copy; what cannot be copied is shared."""
    if callable(initial):
        return initial()
    try:
        return copy_body(initial)
    except Exception:
        return initial


def _holds_dicts(initial: dict[Any, Any]) -> bool:
    return bool(initial) and all(isinstance(state, dict) for state in initial.values())
