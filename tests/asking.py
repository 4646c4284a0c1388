"""Asks as a curl command says, on machines without curl, too."""

import shlex

import httpx


def curl(command: str, instead_of: str = "", address: str = "") -> httpx.Response:
    """Send the request of a curl command, to ``address`` where the command says ``instead_of``."""
    words = shlex.split(command)
    assert words.pop(0) == "curl"
    headers, body, urls = [], None, []
    while words:
        word = words.pop(0)
        match word:
            case "-H":
                name, _, value = words.pop(0).partition(":")
                headers.append((name, value.strip()))
            case "-d":
                body = words.pop(0)
            case _:
                assert not word.startswith("-"), f"this curl does not know {word}"
                urls.append(word)
    (url,) = urls
    return httpx.request(
        "GET" if body is None else "POST", url.replace(instead_of, address), headers=headers, content=body
    )
