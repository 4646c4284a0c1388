"""``mlrun.errors``: the names of MLRun's exceptions for the errors that servegraph raises.

An exception raised under one of these names gives its caller the status that belongs to it.
"""

from __future__ import annotations

from typing import Final

from servegraph import errors
from servegraph.serve.answers import message_of

MLRunBaseError: Final = errors.ServegraphError
MLRunHTTPError: Final = errors.EventError
MLRunHTTPStatusError: Final = errors.EventError
MLRunAccessDeniedError: Final = errors.Forbidden
MLRunNotFoundError: Final = errors.NotFound
MLRunMethodNotAllowedError: Final = errors.MethodNotAllowed
MLRunRuntimeError: Final = errors.StepError
MLRunInternalServerError: Final = errors.StepError
MLRunNotImplementedServerError: Final = errors.Unsupported
MLRunServiceUnavailableError: Final = errors.NotReady
MLRunTimeoutError: Final = errors.DeadlineExceeded


class MLRunInvalidArgumentError(errors.ServegraphError, ValueError):
    """What was given cannot be used, in a definition or in an event."""

    status_code = 400


# ``except`` asks for real parents, and these two are what servegraph raises where MLRun raises this one.
errors.GraphError.__bases__ = (MLRunInvalidArgumentError,)
errors.BadEvent.__bases__ = (errors.EventError, MLRunInvalidArgumentError)

MLRunBadRequestError: Final = MLRunInvalidArgumentError
MLRunInvalidArgumentTypeError: Final = MLRunInvalidArgumentError
MLRunValueError: Final = MLRunInvalidArgumentError

err_to_status_code: Final = errors.status_of
err_to_str: Final = message_of


class MLRunUnauthorizedError(errors.EventError):
    """The caller has not said who it is."""

    status_code = 401


class MLRunConflictError(errors.EventError):
    """What is asked for is at odds with what is there."""

    status_code = 409


class MLRunPreconditionFailedError(errors.EventError):
    """What the caller took for granted is not so."""

    status_code = 412


class MLRunUnprocessableEntityError(errors.EventError):
    """What came in is well formed, but makes no sense."""

    status_code = 422
