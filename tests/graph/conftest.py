"""An empty flow for every test that asks for one."""

import pytest

from servegraph.graph.builder import new_graph


@pytest.fixture
def flow():
    return new_graph("flow")
