"""What a step may see of the server it runs in: logger, parameters, secrets, errors, other functions."""

from __future__ import annotations

import logging
import os
import socket
import traceback
from collections.abc import Callable, Mapping
from typing import Any

from servegraph.errors import StepError
from servegraph.events import Event, Response
from servegraph.protocols import ErrorSink


class Logger:
    """Logs messages with named values: ``context.logger.info("loaded", model="m1")``."""

    def __init__(self, logger: logging.Logger | None = None) -> None:
        """Log through a logger of the standard library."""
        self._logger = logger or logging.getLogger("servegraph")

    def debug(self, message: str, *args: Any, **values: Any) -> None:
        """Log what helps to find a fault."""
        self._log(logging.DEBUG, message, args, values)

    def info(self, message: str, *args: Any, **values: Any) -> None:
        """Log what is good to know."""
        self._log(logging.INFO, message, args, values)

    def warning(self, message: str, *args: Any, **values: Any) -> None:
        """Log what may be wrong."""
        self._log(logging.WARNING, message, args, values)

    warn = warning

    def error(self, message: str, *args: Any, **values: Any) -> None:
        """Log what went wrong."""
        self._log(logging.ERROR, message, args, values)

    def exception(self, message: str, *args: Any, **values: Any) -> None:
        """Log what went wrong with the traceback of the exception being handled."""
        self._log(logging.ERROR, message, args, {"exc_info": True, **values})

    # The spelling of the platform MLRun functions run on.
    debug_with = debug
    info_with = info
    warn_with = warning
    warning_with = warning
    error_with = error

    def _log(self, level: int, message: str, args: tuple[Any, ...], values: dict[str, Any]) -> None:
        if not self._logger.isEnabledFor(level):
            return
        exc_info = values.pop("exc_info", None)
        if values:
            named = ", ".join(f"{name}={value!r}" for name, value in values.items())
            message = f"{message} [{named}]".replace("%", "%%") if not args else f"{message} [{named}]"
        self._logger.log(level, message, *args, exc_info=exc_info, stacklevel=3)


class Context:
    """What a step may see of its server; steps may also attach attributes of their own.

    ``parameters`` are the function's, ``secrets`` are looked up by ``get_secret`` before the environment.
    """

    Response = Response

    def __init__(
        self,
        *,
        name: str = "",
        project: str = "",
        parameters: Mapping[str, Any] | None = None,
        secrets: Mapping[str, str] | None = None,
        is_mock: bool = False,
        verbose: bool = False,
        current_function: str = "",
        worker_id: int = 0,
        error_sink: ErrorSink | None = None,
        resolve_function: Callable[[str], str] | None = None,
        logger: Logger | None = None,
    ) -> None:
        """Describe the server: ``resolve_function`` turns the name of a function into its address."""
        self.name = name
        self.project = project
        self.parameters: dict[str, Any] = dict(parameters or {})
        self._secrets = dict(secrets or {})
        self.is_mock = is_mock
        self.verbose = verbose
        self.current_function = current_function
        self.worker_id = worker_id
        self.trigger = ""
        self.logger = logger or Logger()
        self.error_sink = error_sink
        self.server: Any = None
        self.root: Any = None
        self.state: Any = None
        self._resolve_function = resolve_function

    def get_param(self, key: str, default: Any = None) -> Any:
        """Return a parameter of the function (``fn.spec.parameters``)."""
        return self.parameters.get(key, default)

    def get_secret(self, key: str, default: str | None = None) -> str | None:
        """Return a secret given by ``fn.with_secrets``, else the environment variable of that name."""
        value = self._secrets.get(key)
        return value if value is not None else os.environ.get(key, default)

    def get_remote_endpoint(self, name: str, external: bool = True) -> str:
        """Return the address of a function; an address is returned as it is."""
        if "://" in name:
            return name
        if self._resolve_function is None:
            raise StepError(f"function '{name}' has no address: nothing is deployed here; give a URL instead")
        return self._resolve_function(name)

    def push_error(self, event: Event, message: str, source: str = "", **details: Any) -> None:
        """Send one record about a failed event to the error stream, where there is one."""
        if self.error_sink is not None:
            self.error_sink.push(self.error_record(event, message, source, **details))

    def error_record(self, event: Event, message: str, source: str = "", **details: Any) -> dict[str, Any]:
        """Return what is kept of a failed event: which function and step, the event's id and body, what went wrong."""
        error = event.error
        return {
            "function_uri": f"{self.project}/{self.name}" if self.project else self.name,
            "worker": self.worker_id,
            "host": socket.gethostname(),
            "source": source,
            "event": {"id": event.id, "path": event.path, "key": event.key, "body": event.body},
            "message": message,
            "type": type(error).__name__ if error is not None else "",
            "traceback": "".join(traceback.format_exception(error)) if error is not None else "",
            "args": details,
        }

    def __repr__(self) -> str:
        return f"Context(name={self.name!r}, project={self.project!r}, is_mock={self.is_mock})"
