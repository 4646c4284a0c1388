"""``mlrun.utils.logger``."""

from typing import Final

from servegraph.context import Logger

logger: Final = Logger()
"""Logs messages with named values, as a context's logger does."""
