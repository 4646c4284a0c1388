"""Many clients that ask without pause while something happens to the server."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit


class Clients:
    """What so many clients got: answers by status, what was wrong, and what broke on the way."""

    def __init__(self, address: str, path: str, body: Any, right: Callable[[Any], bool]) -> None:
        self.answered = 0
        self.wrong: list[str] = []
        self.broken: list[Exception] = []
        content = json.dumps(body)
        head = f"POST {path} HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\n"
        self._request = f"{head}content-length: {len(content)}\r\n\r\n{content}".encode()
        self._place = urlsplit(address)
        self._right = right
        self._leave = threading.Event()
        self._more = threading.Condition()

    @property
    def failures(self) -> list[Any]:
        """Everything that was not a right answer."""
        return [*self.wrong, *self.broken]

    def wait_for_more(self, answers: int) -> None:
        """Wait until so many more answers have come."""
        with self._more:
            goal = self.answered + answers
            assert self._more.wait_for(lambda: self.answered >= goal, timeout=30), self.failures[:3]

    def run(self, count: int) -> None:
        asyncio.run(self._all(count))

    def leave(self) -> None:
        self._leave.set()

    async def _all(self, count: int) -> None:
        await asyncio.gather(*(self._one() for _ in range(count)))

    async def _one(self) -> None:
        reader, writer = await self._connect()
        while not self._leave.is_set():
            try:
                writer.write(self._request)
                status, body = await asyncio.wait_for(_read(reader), 30)
            except (OSError, EOFError, TimeoutError) as error:
                self.broken.append(error)
                writer.close()
                reader, writer = await self._connect()
                continue
            if status != 200 or not self._right(json.loads(body)):
                self.wrong.append(f"{status} {body[:200]!r}")
            with self._more:
                self.answered += 1
                self._more.notify_all()
        writer.close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(self._place.hostname, self._place.port)


async def _read(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Return status and body of the next answer."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = int(head.partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0])
    return int(head.split()[1]), await reader.readexactly(length)


@contextlib.contextmanager
def asking(address: str, path: str, body: Any, right: Callable[[Any], bool], count: int = 64) -> Iterator[Clients]:
    """Let so many clients ask until the block is left; each waits for its answer before it asks again."""
    clients = Clients(address, path, body, right)
    thread = threading.Thread(target=clients.run, args=(count,))
    thread.start()
    try:
        clients.wait_for_more(count)
        yield clients
    finally:
        clients.leave()
        thread.join()
