"""``python -m servegraph``: the same as the command ``servegraph``."""

from servegraph.cli import main

main()
