"""Files and models from any URL."""

from servegraph.artifacts.fetch import Fetched, fetch
from servegraph.artifacts.urls import is_local

__all__ = ["Fetched", "fetch", "is_local"]
