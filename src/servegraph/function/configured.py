"""What a function runs with: secrets, packages, commands, environment, code, limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Self

import msgspec

from servegraph.errors import GraphError, nearest
from servegraph.function.secrets import checked_source
from servegraph.function.spec import FunctionSpec, Metadata
from servegraph.serve.settings import Settings
from servegraph.sources.load import existing, read_code
from servegraph.sources.requirements import normalised, read_requirements

# What a request may take beyond its wait for a free place when only that wait is given, in seconds.
_WORK: Final = 60.0


class Configured:
    """Everything about a function but its graph; each method returns the function."""

    metadata: Metadata
    spec: FunctionSpec

    def with_secrets(self, kind: str, source: Any) -> Self:
        """Add secrets that steps read with ``context.get_secret``.

        ``inline`` takes a dict, ``file`` the path of a file of ``NAME=value`` lines, ``env`` names of variables. The
        kinds ``kubernetes``, ``azure_vault`` and ``vault`` are kept for a cluster and cannot be read here.
        """
        self.spec.secret_sources.append(checked_source(kind, source))
        return self

    def with_requirements(
        self, requirements: Sequence[str] | str = (), overwrite: bool = False, requirements_file: str = ""
    ) -> Self:
        """Add packages that the code needs; ``mlrun`` and ``storey`` are brought by servegraph and left out."""
        given = [requirements] if isinstance(requirements, str) else list(requirements)
        if requirements_file:
            given += read_requirements(existing(requirements_file))
        build = self.spec.build
        build.requirements = normalised([*([] if overwrite else build.requirements), *given])
        return self

    def with_commands(self, commands: Sequence[str] | str, overwrite: bool = False) -> Self:
        """Add shell commands that a deployment runs once in the function's own environment."""
        given = [commands] if isinstance(commands, str) else list(commands)
        build = self.spec.build
        build.commands = given if overwrite else [*build.commands, *given]
        return self

    def with_code(self, from_file: str = "", body: str = "") -> Self:
        """Take the function's code from a ``.py`` or ``.ipynb`` file, or from a text."""
        if bool(from_file) == bool(body):
            raise GraphError("with_code takes either from_file or body", code="code")
        build = self.spec.build
        build.code = body or read_code(from_file, self.metadata.name)
        build.origin_filename = str(existing(from_file).resolve()) if from_file else ""
        return self

    def set_env(self, name: str, value: Any) -> Self:
        """Set an environment variable of the function's process."""
        self.spec.env[name] = str(value)
        return self

    def set_envs(self, env_vars: Mapping[str, Any]) -> Self:
        """Set several environment variables of the function's process."""
        for name, value in env_vars.items():
            self.set_env(name, value)
        return self

    def with_http(
        self,
        workers: int | None = None,
        port: int | None = None,
        host: str | None = None,
        worker_timeout: float | None = None,
        gateway_timeout: float | None = None,
        **settings: Any,
    ) -> Self:
        """Set where and within which limits the function answers over HTTP; times are seconds.

        ``gateway_timeout`` is the deadline of a request (``request_timeout``). A request that waits for its turn waits
        within it; ``worker_timeout`` alone stands for a deadline 60 s beyond that wait. ``settings`` are those of
        ``Settings``. Raises ValueError where the deadline is not longer than the wait, GraphError for unknown names.
        """
        if worker_timeout is not None:
            gateway_timeout = worker_timeout + _WORK if gateway_timeout is None else gateway_timeout
            if gateway_timeout <= worker_timeout:
                raise ValueError(f"gateway_timeout ({gateway_timeout}) must be longer than worker_timeout")
        if gateway_timeout is not None:
            settings["request_timeout"] = gateway_timeout
        changed = changed_settings(self.spec.server, settings)
        http = self.spec.http
        if workers is not None and workers < 1:
            raise ValueError(f"workers must be one or more, not {workers}")
        http.workers = http.workers if workers is None else workers
        http.port = http.port if port is None else port
        http.host = http.host if host is None else host
        self.spec.server = changed
        return self


def changed_settings(settings: Settings, changes: Mapping[str, Any]) -> Settings:
    """Return settings with some of them changed; raises GraphError for a name or a value that cannot be."""
    known = Settings.__struct_fields__
    wrong = [name for name in changes if name not in known]
    if wrong:
        raise GraphError(f"unknown setting '{wrong[0]}', known are: {', '.join(known)}{nearest(wrong[0], known)}")
    try:
        return msgspec.convert({**msgspec.structs.asdict(settings), **changes}, Settings)
    except msgspec.ValidationError as error:
        raise GraphError(f"wrong setting: {error}", code="settings") from error
