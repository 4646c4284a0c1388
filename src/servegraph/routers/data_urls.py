"""Requests that name their data by a URL, for routers that were told to fetch it."""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import urlsplit

from servegraph.artifacts.stores import store_of
from servegraph.errors import ArtifactError, BadEvent, Forbidden, TooLarge


def check_data_url(url: object, allowed: bool | Collection[str]) -> str:
    """Return a URL that a request may have fetched; raises Forbidden, or BadEvent where it is no web address.

    ``allowed`` is whether that is switched on at all, or the hosts it is switched on for.
    """
    if not allowed:
        raise Forbidden("this router fetches nothing for a request (allow_data_url); send the data in 'inputs'")
    parts = urlsplit(url) if isinstance(url, str) else None
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
        raise BadEvent("data_url has to be an http(s) address")
    if allowed is not True and parts.hostname not in allowed:
        raise Forbidden(f"data_url may not name the host '{parts.hostname}' (allow_data_url)")
    return parts.geturl()


def read_data_url(url: str, max_bytes: int) -> bytes:
    """Return what stands at a web address; raises TooLarge, or BadEvent where it cannot be fetched.

    Redirects are not followed: they could lead to where the request itself may not.
    """
    data = bytearray()
    try:
        for chunk in store_of(url, _no_secret, follow_redirects=False).read(url):
            data += chunk
            if len(data) > max_bytes:
                raise TooLarge(f"what data_url names is larger than {max_bytes} bytes (max_data_bytes)")
    except ArtifactError as error:
        raise BadEvent(f"data_url: {error}") from error
    return bytes(data)


def _no_secret(key: str, default: str | None = None) -> str | None:
    return default
