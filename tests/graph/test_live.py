import collections
import sys
import types

from servegraph.graph.live import Live


def frame():
    return sys._getframe(1)


def test_an_object_keeps_its_name_and_another_gets_the_next():
    live = Live()
    first, second = object(), object()
    assert [live.name("f", first), live.name("f", second), live.name("f", first)] == ["f", "f-2", "f"]
    assert live.names == {"f": first, "f-2": second}


def test_forgetting_a_step_drops_what_belongs_to_it_and_to_its_routes():
    live = Live(instances={"r": 1, "r/m": 2, "r2": 3}, arguments={"r/m": {}, "a": {}})
    live.forget("r")
    assert live.instances == {"r2": 3}
    assert live.arguments == {"a": {}}


def test_the_latest_place_of_definition_is_looked_at_first_and_each_place_once():
    live = Live()

    def here():
        live.remember(frame())

    def there():
        live.remember(frame())

    here()
    there()
    here()
    titles = [space.get("__name__") for space in live.namespaces]
    assert [title.rpartition(".")[2] for title in titles] == ["here", "test_live", "there"]


def test_globals_are_live_so_that_later_definitions_are_found():
    live = Live()
    live.remember(frame())
    assert any(space is globals() for space in live.namespaces)


def test_of_locals_only_what_a_graph_can_name_is_kept():
    live = Live()
    data = [0] * 10  # noqa: F841
    module, function, method = types, lambda: None, collections.Counter().update  # noqa: F841

    class Step: ...

    live.remember(frame())
    kept = {name for name in live.namespaces[0] if not name.startswith("__")}
    assert kept == {"module", "function", "method", "Step"}
