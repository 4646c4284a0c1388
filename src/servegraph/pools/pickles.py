"""Pickles for worker processes: by reference what the other side can import, by value what it cannot.

Classes and functions of ``__main__``, of a notebook or from inside a function cannot be imported by another process;
cloudpickle carries them by value, and only them, because that is slower and makes copies of classes.
"""

from __future__ import annotations

import copyreg
import functools
import io
import itertools
import pickle
import sys
import threading
import weakref
from collections import ChainMap
from collections.abc import Callable, Sequence
from types import FunctionType
from typing import Any, Final

from servegraph.context import Context
from servegraph.errors import MissingExtra
from servegraph.events import DROP
from servegraph.pools.messages import Buffer

_IN_BAND: Final = 4096  # bytes; a smaller buffer costs less inside the pickle than beside it
_NATIVE: Final = ("built-in", "frozen")


class _OutOfReachError(Exception):
    """Something is needed that the other process cannot import."""


def _light(context: Context) -> tuple[Any, ...]:
    """Reduce a context to what means something in another process."""
    kept = {"project", "parameters", "is_mock", "verbose", "current_function", "worker_id"}
    values = {name: getattr(context, name) for name in ("name", *sorted(kept))}
    return functools.partial(Context, **values, secrets=context._secrets), ()


_REDUCERS: Final[dict[type, Any]] = {Context: _light, type(DROP): lambda drop: "DROP"}


class _ByReference(pickle.Pickler):
    dispatch_table = ChainMap[type, Any](_REDUCERS, copyreg.dispatch_table)

    def reducer_override(self, thing: Any) -> Any:
        if isinstance(thing, type | FunctionType) and not _in_reach(thing):
            return self.beyond(thing)
        return NotImplemented

    def beyond(self, thing: Any) -> Any:
        raise _OutOfReachError(f"{thing.__qualname__} of {thing.__module__}")


class _Homeward(_ByReference):
    def beyond(self, thing: Any) -> Any:
        number = _arrived.get(thing)
        return super().beyond(thing) if number is None else (_at_home, (number,))


def pack(thing: Any) -> list[Buffer]:
    """Return the pickle of something for a worker, and its large buffers; raises MissingExtra."""
    return _pack(thing, _ByReference)


def pack_home(thing: Any) -> list[Buffer]:
    """Return the pickle of something that a worker sends to the process that started it, and its large buffers.

    Classes that were carried here by value go back as the very classes they are at home.
    """
    return _pack(thing, _Homeward)


def unpack(parts: Sequence[Buffer]) -> Any:
    """Return what was packed; arrays share the memory of the buffers that came with it."""
    pickled, *buffers = parts
    return pickle.loads(pickled, buffers=buffers)


def _pack(thing: Any, pickler: type[pickle.Pickler]) -> list[Buffer]:
    try:
        return _dumped(pickler, thing)
    except Exception as problem:
        try:
            import cloudpickle
        except ImportError:
            if isinstance(problem, _OutOfReachError | pickle.PicklingError | AttributeError):
                raise MissingExtra(f"carrying {problem} to another process", "processes") from problem
            raise problem from None
        return _by_value(cloudpickle, thing, homeward=pickler is _Homeward)


def _dumped(pickler: Callable[..., pickle.Pickler], thing: Any) -> list[Buffer]:
    file, buffers = io.BytesIO(), []

    def beside(buffer: pickle.PickleBuffer) -> bool:
        raw = buffer.raw()
        if raw.nbytes < _IN_BAND:
            return True
        buffers.append(raw)
        return False

    pickler(file, protocol=5, buffer_callback=beside).dump(thing)
    return [file.getbuffer(), *buffers]


_registering = threading.Lock()


def _by_value(cloudpickle: Any, thing: Any, homeward: bool) -> list[Buffer]:
    registered: set[Any] = set()

    class ByValue(cloudpickle.Pickler):  # type: ignore[misc]
        dispatch_table = ChainMap[type, Any](_REDUCERS, cloudpickle.Pickler.dispatch_table)

        def reducer_override(self, thing: Any) -> Any:
            if not isinstance(thing, type | FunctionType):
                return super().reducer_override(thing)
            if homeward and thing in _arrived:
                return _at_home, (_arrived[thing],)
            # cloudpickle takes every module that is loaded here for one that can be imported there.
            module = sys.modules.get(thing.__module__)
            if module is not None and module not in registered and not importable(thing.__module__):
                cloudpickle.register_pickle_by_value(module)
                registered.add(module)
            reduced = super().reducer_override(thing)
            if homeward or not isinstance(reduced, tuple) or len(reduced) < 6:
                return reduced
            return *reduced[:5], functools.partial(_arrive, reduced[5], _number(thing))

    with _registering:
        try:
            return _dumped(ByValue, thing)
        finally:
            for module in registered:
                cloudpickle.unregister_pickle_by_value(module)


_counter = itertools.count()
# What was carried by value, by number: in the process it came from ...
_numbers: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()
_carried: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()
# ... and in the worker it was carried to.
_arrived: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()


def _number(thing: Any) -> int:
    number = _numbers.setdefault(thing, next(_counter))
    _carried[number] = thing
    return number


def _arrive(set_state: Callable[[Any, Any], Any], number: int, thing: Any, state: Any) -> None:
    set_state(thing, state)
    _arrived[thing] = number


def _at_home(number: int) -> Any:
    return _carried[number]


def _in_reach(thing: Any) -> bool:
    return "<" not in thing.__qualname__ and importable(thing.__module__)


@functools.cache
def importable(name: str) -> bool:
    """Return whether another process with the same path finds the module that is loaded here under this name."""
    spec = getattr(sys.modules.get(name), "__spec__", None)
    if spec is None or name == "__main__":
        return False
    if spec.origin in _NATIVE:
        return True
    parent = name.rpartition(".")[0]
    if parent and not importable(parent):
        return False
    path = getattr(sys.modules[parent], "__path__", None) if parent else None
    for finder in sys.meta_path:
        found = finder.find_spec(name, path)
        if found is not None:
            return bool(found.origin == spec.origin)
    return False
