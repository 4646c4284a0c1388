import types

import pytest

from servegraph.engine.names import LIBRARY, Names
from servegraph.graph.live import Live


def helper(body):
    return body


class Outer:
    class Inner:
        pass


@pytest.fixture
def module(tmp_path, monkeypatch):
    (tmp_path / "broken_on_import.py").write_text("import not_there_at_all\n")
    (tmp_path / "fails_on_import.py").write_text("raise RuntimeError('boom')\n")
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_live_objects_are_found_first():
    live = Live()
    live.names["helper"] = len
    assert Names([globals()], live).find("helper") is len


@pytest.mark.parametrize(
    "space", [{"helper": helper}, types.SimpleNamespace(helper=helper), type("Space", (), {"helper": helper})]
)
def test_a_namespace_is_a_mapping_a_module_like_object_or_a_class(space):
    assert Names([space]).find("helper") is helper


def test_the_first_namespace_wins_and_definition_sites_come_after_those_given():
    live = Live(namespaces=[{"f": 3, "g": 4}])
    names = Names([{"f": 1}, {"f": 2}], live)
    assert (names.find("f"), names.find("g")) == (1, 4)


def test_a_dotted_name_may_begin_in_a_namespace():
    assert Names([globals()]).find("Outer.Inner") is Outer.Inner


def test_a_dotted_path_is_imported():
    assert Names().find("collections.OrderedDict").__name__ == "OrderedDict"


def test_builtins_are_found_last():
    assert Names().find("len") is len
    assert Names([{"len": helper}]).find("len") is helper


def test_an_unknown_name_says_where_it_looked_and_what_is_near():
    with pytest.raises(LookupError, match=r"'helpr' was not found in .*test_names.*; did you mean 'helper'\?"):
        Names([globals()]).find("helpr")


def test_a_missing_attribute_of_a_module_is_told_with_the_nearest_one():
    with pytest.raises(LookupError, match=r"module 'json' has no 'dumpss'; did you mean 'dumps'\?"):
        Names().find("json.dumpss")


def test_a_module_whose_own_import_fails_says_so(module):
    with pytest.raises(LookupError, match="importing broken_on_import failed: No module named 'not_there_at_all'"):
        Names().find("broken_on_import.f")
    with pytest.raises(LookupError, match="importing fails_on_import failed: RuntimeError: boom"):
        Names().find("fails_on_import.f")


def test_an_expression_sees_the_event_and_the_names_around_it():
    assert Names([{"factor": 3}]).callable("(event * factor)")(2) == 6
    assert Names([globals()]).callable("({**event, 'n': len(event)})")({"a": 1}) == {"a": 1, "n": 1}
    assert Names().callable("([x + 1 for x in event])")([1]) == [2]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("(event +)", "not valid Python"),
        ("(event", "must end with"),
        ("(evnt + 1)", "there is no 'evnt'; did you mean 'event'"),
    ],
)
def test_a_bad_expression_is_told(text, told):
    with pytest.raises(LookupError, match=told):
        Names().callable(text)


def test_what_cannot_be_called_is_no_handler():
    with pytest.raises(LookupError, match="'value' is int, not something that can be called"):
        Names([{"value": 3}]).callable("value")


@pytest.mark.parametrize("name", sorted(LIBRARY))
def test_every_name_of_the_library_is_there(name):
    assert callable(Names().find(name))
