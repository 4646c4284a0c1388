"""The commands and their options."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Any, Final

import click
from rich.console import Console

from servegraph.cli import actions
from servegraph.cli.group import Examples, TeachingGroup
from servegraph.cli.options import Settings, Size, pair
from servegraph.cli.target import find_target
from servegraph.version import __version__

TARGET: Final = click.argument("target", metavar="TARGET")


@click.group(cls=TeachingGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--verbose", is_flag=True, help="Show the traceback of an error, and log more.")
@click.pass_context
def main(context: click.Context, verbose: bool) -> None:
    """Serve, check, draw and ask model serving graphs.

    TARGET is a file that defines a function: FILE.py or FILE.ipynb (with :NAME where there are several functions), or
    a function or graph as YAML or JSON.

    \b
    Examples:
      servegraph check app.py                     what is wrong with it?
      servegraph invoke app.py /v2/models         ask it once, without a server
      servegraph serve app.py --workers 2         serve it on http://127.0.0.1:8080
      servegraph plot app.py -o graph.svg         draw it
    """
    context.obj = verbose
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING, format="%(asctime)s %(levelname)s %(message)s"
    )
    logging.getLogger("servegraph").setLevel(logging.DEBUG if verbose else logging.INFO)


@main.command(
    cls=Examples, examples=("serve app.py", "serve app.py:fn --port 9000 --workers 4", "serve fn.yaml --reload")
)
@TARGET
@click.option("--host", help="Where to listen; 0.0.0.0 for all of the machine's addresses.  [default: 127.0.0.1]")
@click.option("--port", type=click.IntRange(0, 65535), help="Which port; 0 finds a free one.  [default: 8080]")
@click.option("--workers", type=click.IntRange(min=1), help="How many processes share the port.  [default: 1]")
@click.option("--reload", is_flag=True, help="Start anew, without a failed request, when a file beside TARGET changes.")
@click.option("--timeout", type=float, metavar="SECONDS", help="How long a caller waits for an answer.  [default: 60]")
@click.option("--max-body", type=Size(), help="How large a request may be, such as 10MB.  [default: 64MB]")
@click.option("--model-control", is_flag=True, help="Let requests add, remove and reload models.")
@click.option("--set", "more", multiple=True, metavar="NAME=VALUE", callback=pair, help="Any other limit of Settings.")
@click.option("--fd", type=int, hidden=True)
@click.option("--control-fd", type=int, hidden=True)
@click.option("--worker-id", type=int, default=0, hidden=True)
def serve(
    target: str,
    host: str | None,
    port: int | None,
    workers: int | None,
    reload: bool,
    timeout: float | None,
    max_body: int | None,
    model_control: bool,
    more: dict[str, Any],
    fd: int | None,
    control_fd: int | None,
    worker_id: int,
) -> None:
    """Serve a function over HTTP until Ctrl-C or SIGTERM."""
    given = {"request_timeout": timeout, "max_body": max_body, "model_control": model_control or None}
    settings: Settings = {**more, **{name: value for name, value in given.items() if value is not None}}
    found = find_target(target)
    if fd is not None:
        sys.exit(actions.work(found, settings, fd, control_fd, worker_id))
    sys.exit(actions.serve(found, target, settings, host, port, workers, reload))


@main.command(
    cls=Examples,
    short_help="Find everything that is wrong, without running it.",
    examples=("check app.py", "check fn.yaml --json"),
)
@TARGET
@click.option("--json", "as_json", is_flag=True, help="Print the faults as JSON.")
def check(target: str, as_json: bool) -> None:
    """Find everything that is wrong with a function, without running it; exit with 1 where there is something."""
    sys.exit(actions.check(target, as_json))


@main.command(cls=Examples, examples=("plot app.py -o graph.svg", "plot fn.yaml -o graph.mmd --rankdir TB"))
@TARGET
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), required=True, help="The file to write."
)
@click.option("--format", "language", help="svg, mermaid or png, where the file's name does not say it.")
@click.option("--rankdir", type=click.Choice(["LR", "TB"]), default="LR", help="Left to right, or top to bottom.")
def plot(target: str, output: Path, language: str | None, rankdir: str) -> None:
    """Draw a function's graph."""
    written = find_target(target).function.plot(rankdir=rankdir).save(output, language)
    Console().print(f"wrote {written}", highlight=False)


@main.command(
    cls=Examples,
    short_help="Ask a function, served or in a file.",
    examples=(
        "invoke http://127.0.0.1:8080 /v2/models/m1/infer -d '{\"inputs\": [[5.1, 3.5, 1.4, 0.2]]}'",
        "invoke app.py /v2/models/m1/infer -d @rows.json",
        "invoke app.py /v2/models",
    ),
)
@click.argument("target", metavar="URL_OR_TARGET")
@click.argument("path", default="/")
@click.option("-d", "--body", help="The body; @FILE reads a file, - the standard input.")
@click.option("-X", "--method", help="The method.  [default: POST with a body, GET without]")
@click.option("-H", "--header", "headers", multiple=True, metavar="NAME:VALUE", callback=pair, help="A header.")
@click.option("--timeout", type=float, default=60.0, show_default=True, metavar="SECONDS", help="How long to wait.")
def invoke(
    target: str, path: str, body: str | None, method: str | None, headers: dict[str, str], timeout: float
) -> None:
    """Ask a function and print its answer: one that is served at a URL, or one in a file, run here for this request."""
    sys.exit(actions.invoke(target, path, body, method, headers, timeout))


@main.command(cls=Examples, examples=("version",))
def version() -> None:
    """Print the version."""
    click.echo(f"servegraph {__version__} (Python {sys.version.split()[0]})")
