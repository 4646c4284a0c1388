import functools
import json
import sys

from servegraph.graph.naming import caller, is_function, name_of, short, unique


class Outer:
    class Inner: ...

    def method(self): ...


def test_what_can_be_imported_is_named_by_its_path():
    assert name_of(Outer) == f"{__name__}.Outer"
    assert name_of(Outer.Inner) == f"{__name__}.Outer.Inner"
    assert name_of(json.dumps) == "json.dumps"
    assert name_of(len) == "len"


def test_what_cannot_be_imported_is_named_by_its_bare_name():
    class Local: ...

    assert name_of(Local) == "Local"
    assert name_of(lambda body: body) == "lambda"
    assert name_of(Outer().method) == "method"
    assert name_of(functools.partial(json.dumps, indent=2)) == "dumps"
    assert name_of(Outer()) == "Outer"


def test_what_comes_from_the_main_program_is_named_without_its_module(monkeypatch):
    monkeypatch.setattr(Outer, "__module__", "__main__")
    monkeypatch.setattr(sys.modules["__main__"], "Outer", Outer, raising=False)
    assert name_of(Outer) == "Outer"


def test_functions_are_told_from_what_is_built_first():
    assert all(map(is_function, [len, Outer().method, lambda: 1, functools.partial(len)]))
    assert not any(map(is_function, [Outer, Outer(), "len"]))


def test_an_unnamed_step_is_called_after_the_last_part():
    assert [short("a.b.Name"), short("name"), short("(event + 1.5)")] == ["Name", "name", "expression"]
    assert [unique("a", {"b"}), unique("a", {"a", "a-2"})] == ["a", "a-3"]


def test_the_caller_is_the_nearest_frame_outside_of_servegraph():
    assert caller() is sys._getframe()
