"""Pre-flight: from the first byte of an upload to the first picture, in a platform of its own.

Everything is the real thing: web server, broker, worker, sandboxes, the picture over HTTP. The team
gives no manifest. By the clock on the wall, for a quiet machine; and the CPU time of the worker
with all that it started, of which a neighbour's load says little.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import safetensors.torch
import torch

from scripts.bench.rows import Row, at_most
from scripts.bench.setting import Setting
from styletransfer.generators import build
from tests.deployment import deployed
from tests.end_to_end.running_site import Site

SIDE = 256
LIMIT_S = 15
# The largest of the usual widths: 1.7 million weights, 6.7 MB.
WIDTH = 32
_POLL_S = 0.05
_PATIENCE_S = 120.0
_TICK = os.sysconf("SC_CLK_TCK")


def measure(setting: Setting) -> Iterator[Row]:
    """Measure each file in turn, so that a slow minute meets all of them."""
    rounds = setting.choose(8, quick=2)
    files = [*write_files(setting.folder), *setting.checkpoints]
    with (
        tempfile.TemporaryDirectory(prefix="preflight-") as folder,
        deployed(Path(folder) / "var", ARENA_THROTTLE_UPLOAD="10000/hour") as deployment,
    ):
        site = Site(deployment)
        phase = site.add_phase(pairs=2, size=SIDE, quota_concurrent=10_000, quota_per_day=10_000)
        worker = deployment.pid_of("checks@")
        if worker is None:
            print("  the worker of the checks does not run", file=sys.stderr)
            return
        check(site, phase, files[0])  # it comes to a worker that has just started
        wall: dict[str, list[float]] = {path.name: [] for path in files}
        used: dict[str, list[float]] = {path.name: [] for path in files}
        for _ in range(rounds):
            for path in files:
                before = settle(worker)
                wall[path.name].append(check(site, phase, path))
                used[path.name].append(settle(worker) - before)
    for name in wall:
        yield Row(f"{name}: to the first picture", median(wall[name]), "s")
        yield Row("  CPU of the worker and its sandboxes", median(used[name]), "s")
    every = sorted(seconds for some in wall.values() for seconds in some)
    yield Row(f"all {len(every)}, median", median(every), "s")
    bar = setting.full_only(at_most(LIMIT_S))
    yield Row("  95 of 100 within", percentile(every, 95), "s", bar=bar)


def percentile(ordered: list[float], of_100: int) -> float:
    """Return the smallest value that so many of 100 do not exceed."""
    return ordered[-(-len(ordered) * of_100 // 100) - 1]


def write_files(folder: Path) -> list[Path]:
    """Return generators of 7 MB in both containers of weights."""
    network = build("transformer_net", {"width": WIDTH})
    weights = dict(network.state_dict())
    safe, legacy = folder / "width-32.safetensors", folder / "width-32.pth"
    safetensors.torch.save_file(weights, safe)
    torch.save(weights, legacy, _use_new_zipfile_serialization=False)
    return [safe, legacy]


def check(site: Site, phase: str, path: Path) -> float:
    """Submit a file and return the seconds until its first picture was fetched."""
    address = f"{site.deployment.url}/api/v1/phases/{phase}/submissions/"
    token = f"Authorization: Token {site.token}"
    started = time.perf_counter()
    said = subprocess.run(  # noqa: S603 - what a participant would type
        ["/usr/bin/curl", "-sS", "-H", token, "-F", f"checkpoint=@{path}", "-F", "hold=1", address],
        capture_output=True,
        check=True,
    ).stdout
    uuid = json.loads(said)["id"]
    while (found := ask(site, f"/api/v1/submissions/{uuid}/"))["status"] == "checking":
        if time.perf_counter() - started > _PATIENCE_S:
            raise TimeoutError(f"{path.name}: no picture within {_PATIENCE_S:.0f} s")
        time.sleep(_POLL_S)
    if found["check"] is None:
        raise ValueError(f"{path.name}: {found['failure']}")
    fetch(site, found["check"]["picture"])
    taken = time.perf_counter() - started
    fetch(site, f"/api/v1/submissions/{uuid}/cancel/", method="POST")
    return taken


def ask(site: Site, path: str) -> Any:
    """Return the JSON at an address."""
    return json.loads(fetch(site, path))


def fetch(site: Site, path: str, *, method: str = "GET") -> bytes:
    """Return what is at an address."""
    request = urllib.request.Request(f"{site.deployment.url}{path}", method=method)  # noqa: S310
    request.add_header("Authorization", f"Token {site.token}")
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
        return bytes(answer.read())


def settle(pid: int) -> float:
    """Wait until a worker has its sandboxes ready again; return the CPU seconds it has used.

    With all that it started and that has ended; what still waits to be used is not in it.
    """
    quiet_for = 0
    before = tree_seconds(pid)
    while quiet_for < 5:
        time.sleep(0.2)
        now = tree_seconds(pid)
        quiet_for = quiet_for + 1 if now - before < 0.03 else 0
        before = now
    return before


def tree_seconds(pid: int) -> float:
    """Return the CPU seconds of a process and all below it, living and dead."""
    total, waiting = 0.0, [pid]
    while waiting:
        one = Path(f"/proc/{waiting.pop()}")
        try:
            fields = (one / "stat").read_text().rpartition(")")[2].split()
            waiting += [
                int(child)
                for thread in (one / "task").iterdir()
                for child in (thread / "children").read_text().split()
            ]
        except OSError:  # it ended meanwhile; its parent has counted it
            continue
        total += sum(int(ticks) for ticks in fields[11:15]) / _TICK
    return total
