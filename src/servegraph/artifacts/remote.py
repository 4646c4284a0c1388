"""Files behind every other URL that fsspec opens: object stores, clusters, archives."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any, Final

import fsspec
from fsspec.registry import known_implementations

from servegraph.artifacts.stores import CHUNK, GetSecret, Listing
from servegraph.artifacts.urls import file_name, public, scheme_of, told_without
from servegraph.errors import ArtifactError, nearest

# Which secrets a file system takes as which of its options; what is not given, its own client looks for.
_S3: Final = {
    "key": ("AWS_ACCESS_KEY_ID",),
    "secret": ("AWS_SECRET_ACCESS_KEY",),
    "token": ("AWS_SESSION_TOKEN",),
    "endpoint_url": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "S3_ENDPOINT_URL"),
}
_AZURE: Final = {"connection_string": ("AZURE_STORAGE_CONNECTION_STRING",)}
_SECRETS: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    "s3": _S3,
    "s3a": _S3,
    "az": _AZURE,
    "abfs": _AZURE,
    "gs": {"token": ("GOOGLE_APPLICATION_CREDENTIALS",)},
}


class FsspecStore:
    """A file system of fsspec, opened with the secrets that it knows what to do with."""

    def __init__(self, url: str, get_secret: GetSecret) -> None:
        """Open the file system; raises ArtifactError where its package is missing or the scheme unknown."""
        options = _options(scheme_of(url), get_secret)
        try:
            self._system, _ = fsspec.url_to_fs(url, **options)
        except ImportError as error:
            raise ArtifactError(_how_to_install(url, error)) from error
        except ValueError as error:
            known = sorted(known_implementations)
            hint = nearest(scheme_of(url), known)
            raise ArtifactError(f"cannot open '{public(url)}': {error}{hint}") from error

    def list(self, url: str) -> Listing:
        """Return the file at a URL, or the files directly inside the folder at it."""
        with _told(url):
            path = self._system._strip_protocol(url)
            if not self._system.isdir(path):
                self._system.info(path)
                return Listing({file_name(path): path}, False)
            entries = self._system.ls(path, detail=True)
        files = [str(entry["name"]) for entry in entries if entry["type"] == "file"]
        return Listing({file_name(name): name for name in sorted(files)}, True)

    def read(self, address: str) -> Iterator[bytes]:
        """Yield the bytes of one file."""
        with _told(address), self._system.open(address, "rb") as file:
            while chunk := file.read(CHUNK):
                yield chunk


@contextlib.contextmanager
def _told(url: str) -> Iterator[None]:
    """Translate whatever a file system raises."""
    try:
        yield
    except ArtifactError:
        raise
    except FileNotFoundError as error:
        raise ArtifactError(f"there is no file '{public(url)}'") from error
    except Exception as error:  # every file system has errors of its own
        raise ArtifactError(f"cannot fetch '{public(url)}': {told_without(url, error)}") from error


def _options(scheme: str, get_secret: GetSecret) -> dict[str, Any]:
    options = {}
    for option, names in _SECRETS.get(scheme, {}).items():
        found = next((secret for name in names if (secret := get_secret(name))), None)
        if found is not None:
            options[option] = found
    return options


def _how_to_install(url: str, error: ImportError) -> str:
    known: dict[str, str] = known_implementations.get(scheme_of(url), {})
    package = known.get("class", "fsspec").partition(".")[0]
    if package == "fsspec":
        return f"cannot open '{public(url)}': {known.get('err') or error}"
    return f"opening '{public(url)}' needs the package {package}; install it with: pip install {package}"
