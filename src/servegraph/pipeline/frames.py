"""DataframeSource: a flow over the rows of data frames."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from servegraph.errors import nearest
from servegraph.events import Event
from servegraph.pipeline.awaited import feed_all
from servegraph.pipeline.define import define
from servegraph.pipeline.flow import Flow
from servegraph.pipeline.threaded import FlowAwaiter, started
from servegraph.pipeline.window import Window
from servegraph.steps.linking import Linked

_ROWS: Final = 1000  # made into dicts at once: a whole frame of them would take many times its size


class DataframeSource(Linked):
    """Emits each row of one or several frames as a dict, and ends the flow after the last.

    Named levels of the index are columns, too. Rows without a key are left out where there is a ``key_field``.
    """

    FIRST = True

    def __init__(
        self,
        dfs: Any,
        key_field: str | Sequence[str] | None = None,
        id_field: str | None = None,
        *,
        buffer_size: int = 8,
        name: str = "source",
        context: Any = None,
    ) -> None:
        """Take a frame or several, and the columns of the events' keys (a list makes list keys) and ids.

        Raises ValueError for a column that a frame does not have.
        """
        self._frames = [dfs] if hasattr(dfs, "to_dict") else list(dfs)
        self._keys = [key_field] if isinstance(key_field, str) else key_field
        self._one_key = isinstance(key_field, str)
        self._id = id_field
        self.buffer_size = buffer_size
        self.name = name
        self.context = context
        for frame in self._frames:
            _check_columns(frame, "key", self._keys or [])
            _check_columns(frame, "id", [] if id_field is None else [id_field])

    def run(self) -> FlowAwaiter:
        """Start the flow in a daemon thread; raises GraphError with everything that is wrong with it."""
        return started(define(self), self._events(), self.context, self.buffer_size)

    async def run_async(self) -> Any:
        """Run the flow to its end on the running event loop and return what it ends with."""
        return await feed_all(
            Flow(define(self), Window(self.buffer_size), self.context, own_loop=False), self._events()
        )

    def _events(self) -> Iterator[Event]:
        for frame in self._frames:
            for row in _rows(frame, self._keys):
                keys = [row[name] for name in self._keys or ()]
                key = (keys[0] if self._one_key else keys) if keys else None
                yield Event(row, key, None if self._id is None else str(row[self._id]), deadline=float("inf"))


def _rows(frame: Any, keys: Sequence[str] | None) -> Iterator[dict[str, Any]]:
    """Yield the rows of a frame that have a key, if they shall have one."""
    for start in range(0, len(frame), _ROWS):
        part = frame.iloc[start : start + _ROWS]
        if any(name is not None for name in frame.index.names):
            part = part.reset_index()
        if keys:
            part = part[part[list(keys)].notna().all(axis=1)]
        yield from part.to_dict("records")


def _check_columns(frame: Any, what: str, names: Iterable[Any]) -> None:
    columns = [*frame.columns, *(name for name in frame.index.names if name is not None)]
    for name in names:
        if not isinstance(name, str):
            raise ValueError(f"{what}_field names a column, it is not {type(name).__name__}")
        if name not in columns:
            raise ValueError(f"{what} column '{name}' is missing from dataframe{nearest(name, map(str, columns))}")
