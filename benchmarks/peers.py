"""The same workloads in MLRun and storey: run by in_process.py with another environment's python.

Reads the name of a workload a line and answers each with a line of JSON: ``{"us": ...}`` or ``{"reason": ...}``.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
from collections.abc import Callable

import measure


class Add:
    """The trivial step."""

    def __init__(self, **_):
        """Take what MLRun gives every step."""

    def do(self, body):
        """Return one more."""
        return body + 1


def mlrun_flow(engine: str, steps: int) -> Callable[[], float]:
    """Return what measures a chain of trivial steps in MLRun's mock server."""
    import mlrun

    function = mlrun.new_function("chain", kind="serving")
    step = function.set_topology("flow", engine=engine)
    for number in range(steps):
        step = step.to("Add", name=f"add{number}")
    step.respond()
    server = function.to_mock_server(namespace=globals())
    call = measure.warm(lambda: server.test(body=1))
    return lambda: measure.calls(call)


def mlrun_router() -> Callable[[], float]:
    """Return what measures a router with one model in MLRun's mock server."""
    import mlrun

    class Echo(mlrun.serving.V2ModelServer):
        """The trivial model."""

        def load(self):
            """Have nothing to load."""

        def predict(self, request):
            """Return the inputs."""
            return request["inputs"]

    function = mlrun.new_function("router", kind="serving")
    function.set_topology("router")
    function.add_model("echo", class_name="Echo", model_path="")
    server = function.to_mock_server(namespace={"Echo": Echo})
    body = {"inputs": [1]}
    call = measure.warm(lambda: server.test("/v2/models/echo/infer", body))
    return lambda: measure.calls(call)


def storey_flow(steps: int) -> Callable[[], float]:
    """Return what measures a chain in storey with its async source, in one loop."""
    import storey

    loop = asyncio.new_event_loop()
    adds = [storey.Map(lambda body: body + 1) for _ in range(steps)]
    flow = storey.build_flow([storey.AsyncEmitSource(), *adds, storey.Complete()])

    async def start() -> object:
        return flow.run()

    controller = loop.run_until_complete(start())
    call = measure.warm_awaits(loop, lambda: controller.emit(1))
    return lambda: measure.awaits(loop, call)


WORKLOADS: dict[str, Callable[[], Callable[[], float]]] = {
    "MLRun router": mlrun_router,
    **{f"MLRun sync {steps}": lambda steps=steps: mlrun_flow("sync", steps) for steps in (1, 3, 10)},
    **{f"MLRun async {steps}": lambda steps=steps: mlrun_flow("async", steps) for steps in (1, 3, 10)},
    **{f"storey async {steps}": lambda steps=steps: storey_flow(steps) for steps in (1, 3, 10)},
}


def main() -> None:
    """Answer until standard input ends."""
    logging.disable(logging.CRITICAL)
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the peers print must not come between the answers
    ready: dict[str, Callable[[], float]] = {}
    for line in sys.stdin:
        name = line.strip()
        try:
            if name not in ready:
                ready[name] = WORKLOADS[name]()
            answer: dict[str, float | str] = {"us": ready[name]()}
        except Exception as error:
            answer = {"reason": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)
    answers.flush()
    os._exit(0)  # MLRun's flows keep their process from ending


if __name__ == "__main__":
    main()
