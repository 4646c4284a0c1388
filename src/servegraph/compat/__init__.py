"""``import servegraph.compat`` lets ``import mlrun`` and ``import storey`` give what servegraph has under those names.

Raises ImportError where one of the real packages was imported before.
"""

from servegraph.compat.finder import install

install()
