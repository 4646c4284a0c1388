import importlib
import inspect

import pytest

from servegraph import serving, storey
from servegraph.steps import NAMES
from servegraph.steps.base import Options, StepBase


def found(name):
    module, _, attribute = NAMES[name].partition(":")
    return getattr(importlib.import_module(module), attribute)


@pytest.mark.parametrize("name", sorted(NAMES))
def test_every_name_is_there(name):
    assert found(name).__name__ == name.rpartition(".")[2]


STEPS = sorted({each for name in NAMES if issubclass(each := found(name), StepBase)}, key=lambda step: step.__name__)


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.__name__)
def test_every_step_takes_the_options_of_all_steps_and_nothing_else(step):
    signature = inspect.signature(step)
    assert set(Options.__annotations__) <= set(signature.parameters)
    assert not any(each.kind is each.VAR_KEYWORD for each in signature.parameters.values())


def test_the_faces_offer_them():
    assert storey.Map is found("storey.Map")
    assert serving.Merge is found("mlrun.serving.Merge")
    assert serving.Imputer is found("mlrun.feature_store.steps.Imputer")
