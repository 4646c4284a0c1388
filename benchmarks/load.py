"""Load for an HTTP server: connections that ask without pause, made by wrk where it is installed, else by asyncio."""

from __future__ import annotations

import asyncio
import re
import shutil
import statistics
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from urllib.parse import urlsplit

_UNITS = {"us": 1.0, "ms": 1e3, "s": 1e6}


@dataclass(frozen=True)
class Measured:
    """What one run of load saw: requests a second, latencies in microseconds, answers other than 200."""

    rate: float
    p50: float
    p99: float
    failed: int


def generator() -> str:
    """Return what makes the load here."""
    return "wrk" if shutil.which("wrk") else "asyncio"


def post(url: str, body: bytes, connections: int, seconds: float) -> Measured:
    """Send a JSON body over and over and return what came of it."""
    if shutil.which("wrk"):
        return _wrk(url, body, connections, seconds)
    return asyncio.run(_asyncio(url, body, connections, seconds))


def _wrk(url: str, body: bytes, connections: int, seconds: float) -> Measured:
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "post.lua")
        script.write_text(
            f"wrk.method = 'POST'\n"
            f"wrk.body = [==[{body.decode()}]==]\n"
            "wrk.headers['Content-Type'] = 'application/json'\n"
        )
        options = ["-t1", f"-c{connections}", f"-d{seconds:g}s", "--latency", "-s", str(script)]
        told = subprocess.run(["wrk", *options, url], capture_output=True, text=True, check=True).stdout
    failed = re.search(r"Non-2xx or 3xx responses: (\d+)", told)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", told)
    assert rate is not None, told
    return Measured(float(rate[1]), _latency(told, 50), _latency(told, 99), int(failed[1]) if failed else 0)


def _latency(told: str, share: int) -> float:
    found = re.search(rf"{share}%\s+([\d.]+)(us|ms|s)", told)
    assert found is not None, told
    return float(found[1]) * _UNITS[found[2]]


async def _asyncio(url: str, body: bytes, connections: int, seconds: float) -> Measured:
    place = urlsplit(url)
    head = f"POST {place.path or '/'} HTTP/1.1\r\nhost: {place.netloc}\r\ncontent-type: application/json\r\n"
    request = f"{head}content-length: {len(body)}\r\n\r\n".encode() + body
    until = perf_counter() + seconds
    times: list[float] = []
    failed = 0

    async def client() -> None:
        nonlocal failed
        reader, writer = await asyncio.open_connection(place.hostname, place.port)
        while (begun := perf_counter()) < until:
            writer.write(request)
            answer = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", answer, re.IGNORECASE)
            await reader.readexactly(int(length[1]) if length else 0)
            times.append(perf_counter() - begun)
            failed += not answer.startswith(b"HTTP/1.1 200")
        writer.close()

    await asyncio.gather(*(client() for _ in range(connections)))
    cuts = statistics.quantiles(times, n=100)
    return Measured(len(times) / seconds, cuts[49] * 1e6, cuts[98] * 1e6, failed)
