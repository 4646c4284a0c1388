"""Files behind http(s), read as they come, with the server's certificate verified."""

from __future__ import annotations

from collections.abc import Iterator

import httpx

from servegraph.artifacts.stores import CHUNK, GetSecret, Listing
from servegraph.artifacts.urls import file_name, public, told_without
from servegraph.errors import ArtifactError

_TIMEOUT = httpx.Timeout(60.0, connect=15.0)


class HttpStore:
    """A web server; it has files but no folders. A user in the URL becomes basic authentication."""

    def __init__(self, url: str, get_secret: GetSecret, follow_redirects: bool = True) -> None:
        """Take what all stores take; without ``follow_redirects`` a redirect is an error."""
        self._follow_redirects = follow_redirects

    def list(self, url: str) -> Listing:
        """Return the one file that a URL names."""
        return Listing({file_name(url): url}, False)

    def read(self, address: str) -> Iterator[bytes]:
        """Yield the bytes of one answer; a status other than 200 is an error."""
        try:
            with (
                httpx.Client(timeout=_TIMEOUT, headers={"accept-encoding": "identity"}) as client,
                client.stream("GET", address, follow_redirects=self._follow_redirects) as response,
            ):
                self._check(response, address)
                yield from response.iter_bytes(CHUNK)
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            raise ArtifactError(f"cannot fetch '{public(address)}': {told_without(address, error)}") from error

    def _check(self, response: httpx.Response, address: str) -> None:
        if response.status_code == 404:
            raise ArtifactError(f"there is no file '{public(address)}': the server answered 404")
        if response.status_code != 200:
            status = f"{response.status_code} {response.reason_phrase}".strip()
            raise ArtifactError(f"cannot fetch '{public(address)}': the server answered {status}")
