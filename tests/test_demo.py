"""`make demo` goes the whole way, and with KEEP=1 leaves a server that answers the very command it prints."""

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.asking import curl

DEMO = Path(__file__).parent.parent / "examples" / "demo.py"


def test_demo_trains_serves_and_asks_and_ends_by_itself(tmp_path):
    done = subprocess.run(
        [sys.executable, str(DEMO)], cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=180
    )
    assert done.returncode == 0, done.stdout + done.stderr
    accuracy = re.search(r"accuracy: (\d+) of 150 right", done.stdout)
    assert accuracy is not None and int(accuracy[1]) > 135
    assert re.search(r"latency: p50 [\d.]+ ms, p99 [\d.]+ ms", done.stdout)
    picture = re.search(r"picture of the graph: (\S+)", done.stdout)
    assert picture is not None and (tmp_path / picture[1]).read_text().startswith("<svg")
    assert "virginica" in done.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="ends the demo with SIGINT, as Ctrl-C does")
def test_kept_demo_answers_the_command_it_prints(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-u", str(DEMO), "--keep"],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as demo:
        try:
            assert demo.stdout is not None
            command = next(line for line in demo.stdout if line.startswith("ask it:")).removeprefix("ask it:")
            assert curl(command.strip()).json()["species"] == "virginica"
        finally:
            demo.send_signal(signal.SIGINT)
        assert demo.wait(timeout=60) == 0
