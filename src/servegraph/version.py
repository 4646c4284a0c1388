"""The version of servegraph that is installed."""

from importlib.metadata import version

__version__ = version("servegraph")
