"""Asking a served function over HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from servegraph.errors import ServerError

_JSON: Final = "application/json"


def request(
    address: str, path: str, body: Any, method: str | None, headers: Mapping[str, str] | None, timeout: float
) -> Any:
    """Send one request and return the answer's body: JSON as objects, text as ``str``, the rest as bytes.

    The method is POST with a body and GET without one. Raises ServerError for a status of 400 and above, and
    ConnectionError or TimeoutError where there is no answer within ``timeout`` seconds.
    """
    import httpx

    url = f"{address.rstrip('/')}/{path.lstrip('/')}"
    content: dict[str, Any] = {}
    if isinstance(body, str | bytes):
        content = {"content": body}
    elif body is not None:
        content = {"json": body}
    try:
        answer = httpx.request(
            method or ("GET" if body is None else "POST"), url, headers=headers, timeout=timeout, **content
        )
    except httpx.TimeoutException as error:
        raise TimeoutError(f"no answer from {url} within {timeout:g} s") from error
    except httpx.TransportError as error:
        raise ConnectionError(f"cannot reach {url}: {error}") from error
    except httpx.InvalidURL as error:
        raise ValueError(f"'{url}' is no address: {error}") from error
    value = _decoded(answer)
    if answer.status_code >= 400:
        raise ServerError(answer.status_code, value)
    return value


def _decoded(answer: Any) -> Any:
    kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not answer.content:
        return None
    if kind == _JSON:
        return answer.json()
    return answer.text if kind.startswith("text/") else answer.content
