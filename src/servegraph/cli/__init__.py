"""The command ``servegraph``: serve, check, draw and ask functions from a terminal."""

from servegraph.cli.commands import main

__all__ = ["main"]
