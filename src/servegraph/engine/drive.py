"""Perform walks: by calling, on the caller's thread, or by awaiting, on an event loop. No rule of a graph is here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from typing import Any, Final

from servegraph.engine.calls import AWAITABLE
from servegraph.engine.commands import END, Fork, Gather, Next
from servegraph.engine.gate import Gate
from servegraph.engine.node import Node, Place
from servegraph.errors import DeadlineExceeded
from servegraph.events import Event
from servegraph.pools.threads import ThreadPool

LONGEST_BACKOFF: Final = 120.0  # seconds

Await = Callable[[Coroutine[Any, Any, Any]], Any]


def call(walk: Generator[Any, Any, Any], wait: Await) -> Any:
    """Drive a walk to its end by calling; ``wait`` runs what must be awaited on a private loop."""
    try:
        command = walk.send(None)
        while True:
            try:
                result = _called(command, wait)
            except Exception as error:
                command = walk.throw(error)
            else:
                command = walk.send(result)
    except StopIteration as end:
        return end.value


def _called(command: Any, wait: Await) -> Any:
    if type(command) is Fork:
        for branch in command.walks:
            call(branch, wait)
        return None
    if type(command) is Gather:
        return [_outcome(each, wait) for each in command.calls]
    if type(command) is tuple:
        node, event = command
        return wait(attempt(node, event, None))
    if type(command) is Next:
        iterator = command.iterator
        return wait(_awaited(anext(iterator, END))) if hasattr(iterator, "__anext__") else next(iterator, END)
    return wait(_awaited(command))


def _outcome(walk: Generator[Any, Any, Any], wait: Await) -> Any:
    try:
        return call(walk, wait)
    except Exception as error:
        return error


async def _awaited(awaitable: Any) -> Any:
    return await awaitable


class Driver:
    """Drives walks by awaiting; ``ordered`` runs branches one after the other, in the order of definition."""

    __slots__ = ("ordered", "threads")

    def __init__(self, threads: ThreadPool, ordered: bool) -> None:
        """Take the threads in which blocking steps run."""
        self.threads = threads
        self.ordered = ordered

    async def drive(self, walk: Generator[Any, Any, Any]) -> Any:
        """Drive a walk to its end."""
        try:
            command = walk.send(None)
        except StopIteration as end:
            return end.value
        return await self.go_on(walk, command)

    async def go_on(self, walk: Generator[Any, Any, Any], command: Any) -> Any:
        """Drive a walk that has begun, from the command it waits for."""
        try:
            while True:
                try:
                    result = await self._perform(command)
                except (Exception, SystemExit) as error:
                    command = walk.throw(error)
                else:
                    command = walk.send(result)
        except StopIteration as end:
            return end.value
        finally:
            walk.close()

    async def _perform(self, command: Any) -> Any:
        if type(command) is tuple:
            node, event = command
            return await attempt(node, event, self.threads)
        if type(command) is Fork:
            return await self._fork(command.walks)
        if type(command) is Gather:
            return await self._gather(command.calls)
        if type(command) is Next:
            return await self._next(command.node, command.iterator)
        return await command

    async def _next(self, node: Node, iterator: Any) -> Any:
        if hasattr(iterator, "__anext__"):
            return await anext(iterator, END)
        if node.place != Place.ELSEWHERE:
            return node.timed(next, iterator, END)
        item = await self.threads.run(node.timed, next, iterator, END)
        node.promote()
        return item

    async def _fork(self, walks: list[Any]) -> None:
        if self.ordered:
            for walk in walks:
                await self.drive(walk)
            return
        waiting = []
        for walk in walks:
            try:
                waiting.append((walk, walk.send(None)))
            except StopIteration:
                continue
        if len(waiting) == 1:
            await self.go_on(*waiting[0])
        elif waiting:
            await _together([self.go_on(*each) for each in waiting])

    async def _gather(self, calls: list[Any]) -> list[Any]:
        if self.ordered:
            return [await _kept(self.drive(each)) for each in calls]
        return await _together([_kept(self.drive(each)) for each in calls])


async def _together(work: list[Coroutine[Any, Any, Any]]) -> list[Any]:
    return list(await asyncio.gather(*work))


async def _kept(work: Coroutine[Any, Any, Any]) -> Any:
    try:
        return await work
    except Exception as error:
        return error


async def attempt(node: Node, event: Event, threads: ThreadPool | None) -> Any:
    """Call a node as often as its ``retries`` allow, each time within its ``timeout``."""
    if node.line is None:
        return await _tried(node, event, threads)
    place = node.line.join()
    try:
        out = await _tried(node, event, threads)
        await node.line.wait(place)
        return out
    finally:
        node.line.go(place)
        node.promote()


async def _tried(node: Node, event: Event, threads: ThreadPool | None) -> Any:
    if node.timeout is None and not node.retries:
        return await _once(node, event, threads)
    entered = event.body
    for failures in range(node.retries + 1):
        try:
            async with asyncio.timeout(node.timeout) as limit:
                return await _once(node, event, threads)
        except Exception as error:
            late = isinstance(error, TimeoutError) and limit.expired()
            if failures == node.retries:
                if late:
                    raise DeadlineExceeded(f"the step took longer than its timeout of {node.timeout:g} s") from error
                raise
        event.body = entered
        await asyncio.sleep(min(node.backoff * 2**failures, LONGEST_BACKOFF))
    raise AssertionError("unreachable: the last attempt returns or raises")


async def _once(node: Node, event: Event, threads: ThreadPool | None) -> Any:
    gate = node.gate
    if gate is not None:
        await gate.enter()
    call: asyncio.Future[Any] | None = None
    try:
        if node.is_async:
            out = node.call(event)
        elif threads is None or node.proven:
            out = node.timed(node.call, event)
        else:
            # A call that is abandoned still holds its place until it has really ended.
            call = threads.run(node.timed, node.call, event, after=lambda: _left_behind(gate, call))
            out = await call
        while type(out) in AWAITABLE:
            out = await out
        return out
    finally:
        if gate is not None and not (call is not None and call.cancelled()):
            gate.leave()
        node.promote()


def _left_behind(gate: Gate | None, call: asyncio.Future[Any] | None) -> None:
    if gate is not None and call is not None and call.cancelled():
        gate.leave()
