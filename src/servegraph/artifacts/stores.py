"""Where files are kept: what a store can do, the store of this machine, and which store opens which URL."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

from servegraph.artifacts.urls import is_local, local_path, public, scheme_of
from servegraph.errors import ArtifactError

CHUNK: Final = 1 << 20
"""How many bytes are read at once."""


class Listing(NamedTuple):
    """What a URL names: addresses of files by their names, and whether it is the folder around them."""

    files: Mapping[str, str]
    is_folder: bool


class GetSecret(Protocol):
    """Finds a secret by its name, as ``context.get_secret`` does."""

    def __call__(self, key: str, default: str | None = None, /) -> str | None:
        """Return the secret, or the default."""
        ...


class Store(Protocol):
    """A place with files; both methods raise ArtifactError for whatever goes wrong."""

    def list(self, url: str) -> Listing:
        """Return the file at a URL, or the files directly inside the folder at it."""
        ...

    def read(self, address: str) -> Iterator[bytes]:
        """Yield the bytes of one file."""
        ...


class LocalStore:
    """The files of this machine."""

    def list(self, url: str) -> Listing:
        """Return the file at a path, or the files of a folder."""
        path = local_path(url)
        if path.is_dir():
            return Listing({each.name: str(each) for each in sorted(path.iterdir()) if each.is_file()}, True)
        if not path.is_file():
            raise ArtifactError(f"there is no file '{public(url)}' (looked in {Path.cwd()})")
        return Listing({path.name: str(path)}, False)

    def read(self, address: str) -> Iterator[bytes]:
        """Yield the bytes of a file."""
        with open(address, "rb") as file:
            while chunk := file.read(CHUNK):
                yield chunk


# Names instead of classes, because the clients behind them take longer to import than all of servegraph.
_STORES: Final = {
    "http": "servegraph.artifacts.http:HttpStore",
    "https": "servegraph.artifacts.http:HttpStore",
}
_ANY_OTHER: Final = "servegraph.artifacts.remote:FsspecStore"


def store_of(url: str, get_secret: GetSecret, **options: Any) -> Store:
    """Return the store that opens a URL; options are those of its class, such as ``follow_redirects`` over http."""
    if is_local(url):
        return LocalStore()
    module, _, name = _STORES.get(scheme_of(url), _ANY_OTHER).partition(":")
    store: Store = getattr(importlib.import_module(module), name)(url, get_secret, **options)
    return store
