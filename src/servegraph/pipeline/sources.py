"""What a flow starts with: sources that a program emits to, from threads or from coroutines."""

from __future__ import annotations

from typing import Any

from servegraph.pipeline.awaited import AsyncFlowController
from servegraph.pipeline.define import define
from servegraph.pipeline.emitting import KeyField
from servegraph.pipeline.threaded import FlowController
from servegraph.steps.linking import Linked


class EmitSource(Linked):
    """What the sources share that a program emits to."""

    FIRST = True

    def __init__(
        self, buffer_size: int = 8, key_field: KeyField = None, *, name: str = "source", context: Any = None
    ) -> None:
        """Take how many events may be on their way at once, and where in a body its key is.

        ``buffer_size`` counts events from ``emit`` until they have ended, but not while a step holds them until others
        come. ``context`` is what steps see; where it keeps errors (its ``push_error``), a failed event does not end
        the flow.
        """
        if not isinstance(buffer_size, int) or buffer_size <= 0:
            raise ValueError(f"Buffer size must be positive, it is {buffer_size!r}")
        self.buffer_size = buffer_size
        self.key_field = key_field
        self.name = name
        self.context = context


class SyncEmitSource(EmitSource):
    """Starts a flow that is fed from threads: ``controller = build_flow([SyncEmitSource(), ...]).run()``."""

    def run(self) -> FlowController:
        """Start the flow in a daemon thread; raises GraphError with everything that is wrong with it."""
        return FlowController(define(self), self.buffer_size, self.key_field, self.context)


class AsyncEmitSource(EmitSource):
    """Starts a flow that is fed from coroutines, on their own event loop."""

    def run(self) -> AsyncFlowController:
        """Start the flow on the running event loop; raises GraphError with everything that is wrong with it."""
        return AsyncFlowController(define(self), self.buffer_size, self.key_field, self.context)
