"""DateExtractor: parts of a date as features."""

from __future__ import annotations

import calendar
import datetime
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Unpack

from servegraph.errors import BadEvent, nearest
from servegraph.steps.base import Options
from servegraph.steps.rows import Row, RowStep

_Part = Callable[[datetime.datetime], Any]


def _days_in_month(moment: datetime.datetime) -> int:
    return calendar.monthrange(moment.year, moment.month)[1]


def _is_month_end(moment: datetime.datetime) -> bool:
    return moment.day == _days_in_month(moment)


_PARTS: Final[dict[str, _Part]] = {
    "year": lambda moment: moment.year,
    "month": lambda moment: moment.month,
    "day": lambda moment: moment.day,
    "hour": lambda moment: moment.hour,
    "minute": lambda moment: moment.minute,
    "second": lambda moment: moment.second,
    "microsecond": lambda moment: moment.microsecond,
    "quarter": lambda moment: (moment.month + 2) // 3,
    "week": lambda moment: moment.isocalendar().week,
    "day_of_week": lambda moment: moment.weekday(),
    "day_of_year": lambda moment: moment.timetuple().tm_yday,
    "days_in_month": _days_in_month,
    "is_leap_year": lambda moment: calendar.isleap(moment.year),
    "is_month_start": lambda moment: moment.day == 1,
    "is_month_end": _is_month_end,
    "is_quarter_start": lambda moment: moment.day == 1 and moment.month % 3 == 1,
    "is_quarter_end": lambda moment: moment.month % 3 == 0 and _is_month_end(moment),
    "is_year_start": lambda moment: (moment.month, moment.day) == (1, 1),
    "is_year_end": lambda moment: (moment.month, moment.day) == (12, 31),
}
_SYNONYMS: Final = {
    "dayofweek": "day_of_week", "weekday": "day_of_week", "dayofyear": "day_of_year",
    "daysinmonth": "days_in_month", "weekofyear": "week", "week_of_year": "week",
}  # fmt: skip


class DateExtractor(RowStep):
    """Adds parts of a date as features: ``timestamp_hour``, ``timestamp_is_month_end`` ... (Monday is day 0)."""

    QUICK = True

    def __init__(
        self,
        parts: Sequence[str] | Mapping[str, str],
        timestamp_col: str | None = None,
        **options: Unpack[Options],
    ) -> None:
        """Take the parts, as pandas names them, or a dict of parts and the features they become.

        The date is in the feature ``timestamp_col`` (``"timestamp"``): a datetime, ISO 8601 text or seconds since
        1970 (UTC). Raises ValueError for a part there is not.
        """
        super().__init__(**options)
        self.parts = parts if isinstance(parts, Mapping) else list(parts)
        self.timestamp_col = timestamp_col or "timestamp"
        names = self.parts if isinstance(self.parts, Mapping) else {each: "" for each in self.parts}
        self._features = {name or f"{self.timestamp_col}_{part}": _part(part) for part, name in names.items()}

    def row(self, row: Row) -> Row:
        """Return the row with the parts of its date."""
        if row.get(self.timestamp_col) is None:
            hint = nearest(self.timestamp_col, map(str, row))
            raise BadEvent(f"the event has no '{self.timestamp_col}' to take the date from{hint}")
        moment = _moment(row[self.timestamp_col])
        return {**row, **{name: part(moment) for name, part in self._features.items()}}


def _part(name: str) -> _Part:
    part = _PARTS.get(_SYNONYMS.get(name, name))
    if part is None:
        raise ValueError(f"a date has no '{name}', it has {', '.join(_PARTS)}{nearest(name, [*_PARTS, *_SYNONYMS])}")
    return part


def _moment(value: Any) -> datetime.datetime:
    try:
        if isinstance(value, int | float):
            return datetime.datetime.fromtimestamp(value, datetime.UTC)
        # A date without a time, or one of numpy, reads as the text it prints.
        return value if isinstance(value, datetime.datetime) else datetime.datetime.fromisoformat(str(value))
    except (ValueError, OverflowError, OSError):
        raise BadEvent(f"{value!r} is no date: ISO 8601 text or seconds since 1970 are needed") from None
