"""What bounds a server: how long, how many, how large."""

from __future__ import annotations

import msgspec


class Settings(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """The limits of one server process; times are seconds, sizes bytes.

    ``request_timeout`` is how long a caller is kept waiting (504 after it). ``max_in_flight`` events run at once,
    ``max_waiting`` more wait for their turn, all others get 503. ``header_timeout`` and ``body_timeout`` bound how
    long a client may take to send, ``drain_timeout`` how long a leaving server waits for its last events, and
    ``drain_grace`` how long it keeps accepting after it has said that it is not ready any more.
    ``model_control`` lets requests add, remove and reload models.
    """

    request_timeout: float = 60.0
    max_in_flight: int = 1024
    max_waiting: int = 1024
    max_body: int = 64 * 1024 * 1024
    max_headers: int = 64 * 1024
    header_timeout: float = 10.0
    body_timeout: float = 30.0
    keep_alive: float = 75.0
    drain_timeout: float = 30.0
    drain_grace: float = 0.0
    model_control: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        for name in self.__struct_fields__:
            value = getattr(self, name)
            least = 0 if name in ("drain_grace", "drain_timeout", "max_waiting") else None
            if not isinstance(value, bool) and (value < 0 if least == 0 else value <= 0):
                raise ValueError(f"{name} must be {'zero or more' if least == 0 else 'more than zero'}, not {value}")
