"""Clients at once: what a server answers them while its worker trains a study beside.

A part of the fault benchmark: `python tests/faults.py` calls it with `--clients`.
"""

import asyncio
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx


def asked_at_once(clients: int, seconds: float) -> tuple[str, list[str]]:
    """So many clients, each with a question a second, at a server whose worker trains a study."""
    answers: list[float] = []
    wrong: list[str] = []

    async def client(address: str, number: int, end: float) -> None:
        paths = (
            "/v1/queue",
            "/v1/studies",
            "/v1/studies/busy",
            "/health",
            "/parts",
            "/metrics",
            "/",
        )
        async with httpx.AsyncClient(base_url=address, timeout=60) as session:
            await asyncio.sleep(random.random())
            while time.monotonic() < end:
                path = random.choice(paths)
                began = time.monotonic()
                try:
                    status = (await session.get(path)).status_code
                    if status != 200:
                        wrong.append(f"{path}: {status}")
                except httpx.HTTPError as error:
                    wrong.append(f"{path}: {error!r}")
                took = time.monotonic() - began
                answers.append(took)
                await asyncio.sleep(max(0.0, 1.0 - took))

    async def all_of_them(address: str, end: float) -> None:
        await asyncio.gather(*(client(address, number, end) for number in range(clients)))

    with tempfile.TemporaryDirectory(prefix="sweep-faults-") as directory:
        words = ["serve", "--port", "0", "--workers", "1", "--log-format", "json"]
        environment = {
            **os.environ,
            "SWEEP_STORAGE": f"sqlite:///{directory}/served.db",
            "PYTHONPATH": str(Path(__file__).parents[1]),
        }
        log = Path(directory, "server.log")
        with log.open("w") as target:
            server = subprocess.Popen(
                [sys.executable, "-m", "sweep", *words], stderr=target, env=environment
            )
        try:
            while "serving" not in log.read_text():
                time.sleep(0.1)
            address = json.loads(log.read_text().splitlines()[0])["url"].rstrip("/")
            study = {"shipped": "hello-lstm", "name": "busy", "trials": 5000}
            httpx.post(f"{address}/v1/studies", json=study, timeout=60).raise_for_status()
            while not (runs := _runs(address)):
                time.sleep(0.5)
            asyncio.run(all_of_them(address, time.monotonic() + seconds))
            trained = _runs(address) - runs
        finally:
            server.terminate()
            server.wait()
    answers.sort()
    at = [
        1000 * answers[min(len(answers) - 1, round(share * len(answers)))] for share in (0.5, 0.99)
    ]
    said = (
        f"{len(answers):,} answers, median {at[0]:.0f} ms, p99 {at[1]:.0f} ms, longest "
        f"{1000 * answers[-1]:.0f} ms; {len(wrong)} errors; {trained:,} runs trained meanwhile"
    )
    return said, wrong


def _runs(address: str) -> int:
    queue = httpx.get(f"{address}/v1/studies/busy", timeout=60).json()["queue"]
    return (queue[0]["progress"] or {}).get("runs", 0)
