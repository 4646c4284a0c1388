"""The whole way: train a classifier, save it, serve it from a graph over HTTP, ask it about 150 flowers.

This file is also what is served: `servegraph serve examples/demo.py`, once `make demo` has trained the model.
"""

import argparse
import json
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import cloudpickle
import httpx
from rich.console import Console
from rich.progress import track
from rich.table import Table
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

import servegraph

FOLDER = Path("demo")
MODEL = FOLDER / "iris.pkl"
PICTURE = FOLDER / "graph.svg"
LOG = FOLDER / "server.log"
iris = load_iris()
console = Console(highlight=False, soft_wrap=True)


def rows(flower):
    """From a flower's named sizes to a row as the model knows it."""
    return {"inputs": [[flower[name] for name in iris.feature_names]]}


def species(answer):
    """From the model's answer to the name of a species."""
    return {"id": answer["id"], "species": str(iris.target_names[answer["outputs"][0]])}


fn = servegraph.new_function("iris-demo", kind="serving")
graph = fn.set_topology("flow")
router = graph.to(name="rows", handler=rows).to("*", name="models")
router.add_route("iris", class_name="SKLearnModelServer", model_path=str(MODEL))
router.to(name="species", handler=species).respond()


def train() -> None:
    """Train on half of the flowers and save the model."""
    seen, _, species_seen, _ = train_test_split(iris.data, iris.target, test_size=0.5, random_state=0)
    FOLDER.mkdir(exist_ok=True)
    MODEL.write_bytes(cloudpickle.dumps(LogisticRegression(max_iter=1000).fit(seen, species_seen)))
    console.print(f"trained on {len(seen)} flowers, saved as {MODEL} ({MODEL.stat().st_size} bytes)")


@contextmanager
def served():
    """Serve this file in a process of its own, on a free port, until the block ends; give address and process."""
    command = [sys.executable, "-m", "servegraph", "serve", __file__, "--port", "0"]
    with LOG.open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    try:
        while not (found := re.search(r"http://[\w.:]+", LOG.read_text())):
            if process.poll() is not None:
                sys.exit(f"the server did not start:\n{LOG.read_text()}")
            time.sleep(0.05)
        yield found[0], process
    finally:
        process.terminate()
        process.wait(timeout=30)


def ask(address):
    """Send all flowers, one request each, over one connection; return the answers and the seconds each took."""
    answers, seconds = [], []
    with httpx.Client(base_url=address) as client:
        for row in track(iris.data.tolist(), "asking", console=console):
            begun = time.perf_counter()
            answer = client.post("/", json=dict(zip(iris.feature_names, row, strict=True)))
            seconds.append(time.perf_counter() - begun)
            answers.append(answer.raise_for_status().json()["species"])
    return answers, seconds


def report(answers, seconds) -> None:
    """Print some answers, how many were right, and how long they took."""
    truth = [str(iris.target_names[target]) for target in iris.target]
    table = Table("flower", "sepal, petal (cm)", "answer", "truth")
    for flower in (0, 25, 50, 70, 100, 149):
        sepal_length, sepal_width, petal_length, petal_width = iris.data[flower]
        sizes = f"{sepal_length} x {sepal_width}, {petal_length} x {petal_width}"
        table.add_row(str(flower), sizes, answers[flower], truth[flower])
    console.print(table)
    right = sum(answer == true for answer, true in zip(answers, truth, strict=True))
    ordered = sorted(seconds)
    p50, p99 = (ordered[int(len(ordered) * share)] * 1e3 for share in (0.5, 0.99))
    console.print(f"accuracy: {right} of {len(answers)} right ({right / len(answers):.1%})")
    console.print(f"latency: p50 {p50:.2f} ms, p99 {p99:.2f} ms over {len(seconds)} requests")


def main() -> None:
    """Do it all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--keep", action="store_true", help="leave it serving until Ctrl-C")
    keep = parser.parse_args().keep
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # so that the server ends, too
    train()
    graph.plot(str(PICTURE))
    with served() as (address, process):
        console.print(f"serving at {address}")
        report(*ask(address))
        console.print(f"picture of the graph: {PICTURE}")
        if keep:
            flower = json.dumps(dict(zip(iris.feature_names, iris.data[149].tolist(), strict=True)))
            console.print(f"\nask it:    curl {address} -H 'content-type: application/json' -d '{flower}'")
            console.print("end it:    Ctrl-C")
            with suppress(KeyboardInterrupt):
                process.wait()


if __name__ == "__main__":
    main()
