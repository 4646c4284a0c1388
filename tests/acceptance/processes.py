"""``servegraph`` commands as processes of their own, in a folder of their own."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

COMMAND = (sys.executable, "-m", "servegraph")


def command(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [*COMMAND, *arguments], cwd=folder, capture_output=True, text=True, timeout=60, env={**os.environ, "COLUMNS": "200"}
    )  # fmt: skip


class Served:
    """A served file: its process, its address, and what it writes to stderr."""

    def __init__(self, process: subprocess.Popen[str], address: str, log: Path) -> None:
        self.process = process
        self.address = address
        self._log = log

    def stop(self) -> tuple[int, str]:
        """Send SIGTERM; return the exit code and what it wrote to stderr."""
        self.process.terminate()
        return self.process.wait(timeout=60), self._log.read_text()


@contextlib.contextmanager
def serving(folder: Path, *arguments: str) -> Iterator[Served]:
    """Run ``servegraph serve`` on a free port until the block is left, once it has said where it listens."""
    options = arguments if "--port" in arguments else (*arguments, "--port", "0")
    log = folder / "stderr.log"
    # A file, because a pipe that nobody reads stops whoever writes to it.
    with (
        log.open("w") as errors,
        subprocess.Popen([*COMMAND, "serve", *options], cwd=folder, stdout=subprocess.PIPE, stderr=errors, text=True)
        as process,
    ):  # fmt: skip
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            found = re.search(r"http://[\d.]+:\d+", line)
            assert found, line + log.read_text()
            yield Served(process, found[0], log)
        finally:
            process.terminate()
            process.wait(timeout=60)
