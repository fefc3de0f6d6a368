"""Hostile, broken and honest files through the real door and into real sandboxes.

Each is refused with its own code, or accepted; nothing outside is touched, called or left behind.
With ``ARENA_HOSTILE_ALONE=1`` every file gets a sandbox of its own, as in the platform.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evaluation.sandbox import GeneratorJob, Limits, SandboxPool, slots
from styletransfer.errors import REFUSALS, CheckpointRejected
from styletransfer.sniff import HEAD_BYTES, sniff
from submissions.failures import Failure
from tests.evaluation.sandbox.processes import owned_by, wait_for
from tests.hostile import (
    onnx_file_cases,
    onnx_run_cases,
    other_cases,
    pickle_cases,
    safetensors_cases,
    state_dict_cases,
)
from tests.hostile.bundle import Ending, run_all
from tests.hostile.case import ACCEPTED, SHAPE, Bait, Case

_LIMITS = Limits(wall_s=30, memory_bytes=1 << 30)
_SLOW = Limits(wall_s=2, memory_bytes=1 << 30)
_TAIL_BYTES = 65_536
_BUNDLE = 60
CASES = [
    *safetensors_cases.cases(),
    *onnx_file_cases.cases(),
    *onnx_run_cases.cases(),
    *pickle_cases.cases(),
    *state_dict_cases.cases(),
    *other_cases.cases(),
]


@pytest.fixture(scope="module")
def bait(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bait]:
    """Lay out what may not be read, written or called; look at it when all is over."""
    folder = tmp_path_factory.mktemp("bait")
    with socket.create_server(("127.0.0.1", 0)) as server:
        laid = Bait(folder, server.getsockname()[1])
        laid.secret.write_bytes(os.urandom(64))
        before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
        yield laid
        assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.accept()


@pytest.fixture(scope="module")
def endings(bait: Bait, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ending]:
    """Run everything that may share sandboxes in a few; the others get one each."""
    folder = tmp_path_factory.mktemp("corpus")
    found: dict[str, Ending] = {}
    inside: list[tuple[Case, bytes]] = []
    for case in CASES:
        data = case.make(bait)
        at_the_door = _refused_at_the_door(data)
        if at_the_door is not None:
            found[case.name] = at_the_door
        else:
            inside.append((case, data))
    is_each_alone = os.environ.get("ARENA_HOSTILE_ALONE") == "1"
    shared = [] if is_each_alone else [each for each in inside if not each[0].alone]
    for i in range(0, len(shared), _BUNDLE):
        some = shared[i : i + _BUNDLE]
        ended = run_all([(data, case.manifest) for case, data in some], folder)
        found |= {case.name: end for (case, _), end in zip(some, ended, strict=False)}
    with SandboxPool(1) as pool:
        for case, data in inside:
            if case.name not in found:
                found[case.name] = _run_alone(pool, case, data, folder / "checkpoint")
    return found


def _refused_at_the_door(data: bytes) -> Ending | None:
    """Do what the web server does: look at the ends of the file and at nothing else."""
    try:
        sniff(data[:HEAD_BYTES], len(data), data[-_TAIL_BYTES:])
    except CheckpointRejected as error:
        return error.code, error.facts
    return None


def _run_alone(pool: SandboxPool, case: Case, data: bytes, path: Path) -> Ending:
    path.write_bytes(data)
    manifest = case.manifest
    pixels = np.random.default_rng(7).integers(0, 256, SHAPE).astype(np.uint8)
    styles = pixels if len(manifest["inputs"]) == 2 else None
    limits = _SLOW if case.code == "too_slow" else _LIMITS
    try:
        if manifest["format"] == "state_dict":
            converted = path.with_suffix(".safetensors")
            pool.convert(path, converted, wall_s=30)
            path, manifest = converted, manifest | {"format": "safetensors"}
        pool.run(GeneratorJob(path, manifest, pixels, styles), limits)
    except CheckpointRejected as error:
        return error.code, error.facts
    return ACCEPTED, {}


def test_the_corpus_is_large_and_its_names_are_different() -> None:
    hostile = [case for case in CASES if case.code != ACCEPTED]
    assert len(hostile) >= 100
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_file_ends_as_it_should(case: Case, endings: dict[str, Ending]) -> None:
    code, facts = endings[case.name]
    assert code == case.code, facts
    if case.reason is not None:
        assert case.reason in (facts.get("reason"), facts.get("problem"), facts.get("kind"))


def test_every_refusal_can_be_told_and_shows_nothing_that_steers(
    endings: dict[str, Ending],
) -> None:
    for name, (code, facts) in endings.items():
        if code == ACCEPTED:
            continue
        assert code in REFUSALS, name
        told = Failure(code, facts).detail + json.dumps(facts, ensure_ascii=False)
        told = told.replace("\N{NO-BREAK SPACE}", " ")  # between a number and its unit
        assert told.isprintable(), (name, told)
        assert len(told) < 2_000, name


@pytest.mark.usefixtures("endings")
def test_no_process_of_a_sandbox_is_left() -> None:
    if os.geteuid() != 0:
        pytest.skip("only root's sandboxes have user ids of their own to look for")
    uids: Any = range(slots.FIRST_UID, slots.FIRST_UID + slots.COUNT)
    mine = [uid for uid in uids if _is_free(uid)]
    wait_for(lambda: not any(owned_by(uid) for uid in mine if _is_free(uid)), 5)
    assert [uid for uid in mine if owned_by(uid) and _is_free(uid)] == []


def _is_free(uid: int) -> bool:
    """Say whether no worker of this machine holds a user id just now."""
    import fcntl

    path = Path("/run/stylearena-sandbox", str(uid))
    if not path.exists():
        return True
    with path.open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True
