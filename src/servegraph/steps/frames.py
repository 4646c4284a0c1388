"""Data frames: ToDataFrame makes one of each body, ReduceToDataFrame one of all events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Unpack

from servegraph.errors import MissingExtra
from servegraph.events import DROP, Event
from servegraph.steps.base import Options, StepBase


class ReduceToDataFrame(StepBase):
    """Gathers the bodies (dicts, or lists of values) of all events into one frame, the ``result``. Events end here."""

    LAST = True

    def __init__(
        self,
        index: str | Sequence[str] | None = None,
        columns: Sequence[str] | None = None,
        insert_key_column_as: str | Sequence[str] | None = None,
        insert_processing_time_column_as: str | None = None,
        insert_id_column_as: str | None = None,
        **options: Unpack[Options],
    ) -> None:
        """Take the columns: which there are, which become the index, and where key, time and id are written to.

        ``insert_key_column_as`` is a list of names where keys are lists.
        """
        super().__init__(**options)
        self._index = index
        self._columns = columns
        self._key = insert_key_column_as
        self._time = insert_processing_time_column_as
        self._id = insert_id_column_as
        self._rows: list[dict[Any, Any]] = []

    def post_init(self, mode: str = "sync") -> None:
        """Start afresh, and find out now whether there is a library for frames."""
        _pandas()
        self._rows = []

    def do_event(self, event: Event) -> Any:
        """Keep one row."""
        self._rows.append({**_row(self.value(event), self._columns), **self._added(event)})
        return DROP

    def _added(self, event: Event) -> dict[str, Any]:
        added: dict[str, Any] = {}
        if isinstance(self._key, str):
            added[self._key] = event.key
        elif self._key is not None:
            added.update(zip(self._key, event.key, strict=True))
        if self._time is not None:
            added[self._time] = event.time
        if self._id is not None:
            added[self._id] = event.id
        return added

    @property
    def result(self) -> Any:
        """The frame of all rows since the start."""
        return _frame(self._rows, self._index, None if self._columns is None else self._all_columns())

    def _all_columns(self) -> list[str]:
        keys = [self._key] if isinstance(self._key, str) else self._key or []
        others = [name for name in (*keys, self._time, self._id) if name is not None]
        return list(dict.fromkeys([*(self._columns or []), *others]))


class ToDataFrame(StepBase):
    """Makes a frame of each body: a list of rows (such as a batch of bodies), or one row."""

    def __init__(
        self,
        index: str | Sequence[str] | None = None,
        columns: Sequence[str] | None = None,
        **options: Unpack[Options],
    ) -> None:
        """Take the columns: which there are, and which become the index."""
        super().__init__(**options)
        self._index = index
        self._columns = columns

    def post_init(self, mode: str = "sync") -> None:
        """Find out now whether there is a library for frames."""
        _pandas()

    def do(self, body: Any) -> Any:
        """Return the frame of one body."""
        return _frame([body] if isinstance(body, Mapping) else body, self._index, self._columns)


def _row(body: Any, columns: Sequence[str] | None) -> dict[Any, Any]:
    if isinstance(body, Mapping):
        return dict(body)
    if isinstance(body, list | tuple):
        return dict(zip(columns or range(len(body)), body, strict=True))
    raise ValueError(f"ReduceToDataFrame needs dict or list bodies, not {type(body).__name__}")


def _frame(rows: Any, index: str | Sequence[str] | None, columns: Sequence[str] | None) -> Any:
    frame = _pandas().DataFrame(rows, columns=columns)
    return frame if index is None or frame.empty else frame.set_index(index)


def _pandas() -> Any:
    try:
        import pandas
    except ImportError as error:
        raise MissingExtra("a step that makes data frames", "pandas") from error
    return pandas
