"""What all tests share: how hypothesis searches, and where the house stands."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "house",
    deadline=None,  # two busy cores make any deadline a matter of luck
    derandomize=bool(os.environ.get("CI")),
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("house")


@pytest.fixture(scope="session")
def house() -> Path:
    """The folder of the checkout."""
    return Path(__file__).parent.parent
