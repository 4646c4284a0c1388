"""``storey.Context``: a context that a program makes itself, of secrets and parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from servegraph import context


class Context(context.Context):
    """What the steps of a flow see of it, given to the flow's source."""

    def __init__(
        self,
        initial_secrets: Mapping[str, str] | None = None,
        initial_parameters: Mapping[str, Any] | None = None,
    ) -> None:
        """Take what ``get_secret`` and ``get_param`` return."""
        super().__init__(secrets=initial_secrets, parameters=initial_parameters)

    def set_param(self, key: str, value: Any) -> None:
        """Set a parameter."""
        self.parameters[key] = value

    def set_secret(self, key: str, value: str) -> None:
        """Set a secret."""
        self._secrets[key] = value
