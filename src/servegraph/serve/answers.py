"""From how an event's run ended to the response its caller gets."""

from __future__ import annotations

from typing import Any

from servegraph.engine.run import Run
from servegraph.errors import EventError, status_of
from servegraph.events import Event, Response


def answer_of(run: Run) -> Response:
    """Return the answer of a finished run: what the responder left, an error, a receipt, or nothing (204)."""
    event = run.answer
    if event is not None:
        body = event.body
        return body if isinstance(body, Response) else Response(body)
    if run.failure is not None:
        return error_response(run.failure.event, run.failure.error, run.failure.step)
    if run.answers == "receipt":
        return Response({"id": run.event.id}, 202)
    return Response(None, 204)


def error_response(event: Event, error: BaseException, step: str = "") -> Response:
    """Return what a caller gets for an exception: its status and ``{"error", "type", "step", "id"}``, no traceback."""
    body: dict[str, Any] = {"error": message_of(error), "type": type(error).__name__}
    if step:
        body["step"] = step
    body["id"] = event.id
    response = Response(body, status_of(error), content_type="application/json")
    wait = getattr(error, "retry_after", None) if isinstance(error, EventError) else None
    if wait is not None:
        response.headers["retry-after"] = str(max(1, round(wait)))
    response.error = error
    return response


def message_of(error: BaseException) -> str:
    """Return what an exception says; a KeyError says only its key, so the word is added."""
    if isinstance(error, KeyError) and error.args:
        return f"missing key {error.args[0]!r}"
    return str(error) or type(error).__name__
