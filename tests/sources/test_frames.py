from servegraph.sources.frames import caller_globals, caller_namespaces, is_installed


def test_the_nearest_caller_comes_first_locals_before_globals():
    mine = "local"

    def inner():
        deeper = 1
        return caller_namespaces(), deeper

    spaces, _ = inner()
    assert spaces[0]["deeper"] == 1
    assert spaces[1] is globals() or spaces[1].get("mine") == mine
    with_mine = next(space for space in spaces if "mine" in space)
    assert with_mine["mine"] == "local"
    assert any(space is globals() for space in spaces)
    assert spaces[-1]["__name__"] == "__main__" or any(space.get("__name__") == "__main__" for space in spaces)


def test_the_standard_library_is_no_caller():
    import contextlib
    import threading

    found = []
    with contextlib.ExitStack() as stack:
        stack.callback(lambda: found.extend(caller_namespaces()))
    thread = threading.Thread(target=lambda: found.extend(caller_namespaces()))
    thread.start()
    thread.join()
    titles = {space.get("__name__") for space in found}
    assert __name__ in titles
    assert not titles & {"contextlib", "threading"}


def test_the_home_is_the_callers_module():
    assert caller_globals() is globals()


def test_installed_files_are_told_from_the_users_own():
    import json

    import click

    assert is_installed(json.__file__)
    assert is_installed(click.__file__)
    assert not is_installed(__file__)
