"""Fetch a file or model from any URL: used in place where it is local, else copied to a private folder."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterator, Mapping

from servegraph.artifacts.stores import GetSecret, Listing, LocalStore, Store, store_of
from servegraph.artifacts.urls import public
from servegraph.errors import ArtifactError


class Fetched:
    """A file that is here now: its ``path``, and the paths of the other files of its folder by their names.

    What was downloaded is deleted by ``close()``, or when nobody holds this object any more.
    """

    def __init__(self, path: str, extra_files: dict[str, str], folder: str | None = None) -> None:
        """Take the files, and the private folder they were downloaded to, if they were."""
        self.path = path
        self.extra_files = extra_files
        self._delete = weakref.finalize(self, _delete_folder, folder, os.getpid()) if folder else None

    def close(self) -> None:
        """Delete what was downloaded."""
        if self._delete is not None:
            self._delete()

    def __repr__(self) -> str:
        return f"Fetched(path={self.path!r}, extra_files={sorted(self.extra_files)})"


def fetch(
    url: str,
    suffix: str | tuple[str, ...] = "",
    sha256: str | None = None,
    secrets: GetSecret | None = None,
    max_bytes: int | None = None,
) -> Fetched:
    """Return a file from a path, ``file://``, ``http(s)://``, ``s3://`` or whatever else fsspec opens.

    Of a folder, the one file with the suffix is taken. With ``sha256`` the very bytes that were checked are
    handed out, in a copy of their own. ``secrets`` (the environment by default) finds keys of object stores.
    ``max_bytes`` bounds what is read in total. Raises ArtifactError, which names the URL without credentials.
    """
    digest = None if sha256 is None else _normal_digest(sha256)
    store = store_of(url, secrets or _from_environment)
    listing = store.list(url)
    name = _choose(listing, suffix, url)
    is_local = isinstance(store, LocalStore)
    if is_local and digest is None:
        others = {each: path for each, path in listing.files.items() if each != name}
        return Fetched(listing.files[name], others)
    folder = tempfile.mkdtemp(prefix="servegraph-")
    try:
        copies = _copy(store, listing.files, folder, _Checks(url, name, digest, max_bytes))
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return Fetched(copies.pop(name), copies, folder)


def _from_environment(key: str, default: str | None = None) -> str | None:
    return os.environ.get(key, default)


class _Checks:
    """What the bytes of a download are held against while they come in."""

    def __init__(self, url: str, name: str, digest: str | None, max_bytes: int | None) -> None:
        self.url = url
        self.name = name
        self.digest = digest
        self.room = max_bytes
        self.max_bytes = max_bytes

    def count(self, chunk: bytes) -> None:
        """Raise ArtifactError when there is more than there may be."""
        if self.room is not None:
            self.room -= len(chunk)
            if self.room < 0:
                raise ArtifactError(f"'{public(self.url)}' is larger than the {self.max_bytes} bytes allowed")

    def compare(self, actual: str) -> None:
        """Raise ArtifactError when the file is not the one that was promised."""
        if self.digest is not None and not hmac.compare_digest(self.digest, actual):
            raise ArtifactError(
                f"'{public(self.url)}' is not the file that was promised: "
                f"sha256 should be {self.digest}, but is {actual}; nothing was loaded"
            )


def _copy(store: Store, files: Mapping[str, str], folder: str, checks: _Checks) -> dict[str, str]:
    # The chosen file first: where it is not the one promised, nothing else is worth reading.
    copies = {}
    for name in sorted(files, key=lambda each: each != checks.name):
        target = os.path.join(folder, name)
        actual = _copy_file(store.read(files[name]), target, checks.count)
        if name == checks.name:
            checks.compare(actual)
        copies[name] = target
    return copies


def _copy_file(chunks: Iterator[bytes], target: str, count: Callable[[bytes], None]) -> str:
    digest = hashlib.sha256()
    partial = f"{target}.part"
    with open(partial, "xb") as file:
        for chunk in chunks:
            count(chunk)
            digest.update(chunk)
            file.write(chunk)
    os.replace(partial, target)
    return digest.hexdigest()


def _choose(listing: Listing, suffix: str | tuple[str, ...], url: str) -> str:
    names = list(listing.files)
    if not listing.is_folder:
        return names[0]
    matching = [name for name in names if name.endswith(suffix)]
    if len(matching) == 1:
        return matching[0]
    wanted = f"file with the suffix {' or '.join([suffix] if isinstance(suffix, str) else suffix)}"
    wanted = wanted if suffix else "file"
    if not matching:
        there = f"; it holds {_named(names)}" if names else "; it is empty"
        raise ArtifactError(f"folder '{public(url)}' has no {wanted}{there}")
    raise ArtifactError(f"folder '{public(url)}' has more than one {wanted}: {_named(matching)}; name the one meant")


def _named(names: list[str], limit: int = 10) -> str:
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more


def _normal_digest(sha256: str) -> str:
    digest = sha256.strip().lower().removeprefix("sha256:")
    if not re.fullmatch("[0-9a-f]{64}", digest):
        raise ArtifactError(f"sha256='{sha256}' is no SHA-256 digest: that is 64 hexadecimal digits")
    return digest


def _delete_folder(folder: str, owner: int) -> None:
    # A forked process inherits the finalizer, but not the folder.
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)
