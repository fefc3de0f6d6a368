"""Readers of uploads meet what nobody thought of: they refuse it in a word, soon, or take it.

``make fuzz`` goes on for a minute or as long as is asked; every run of the tests does a little of
it, always the same. What is found becomes a case of ``tests/hostile``.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from competitions.errors import Invalid
from styletransfer.architectures import ARCHITECTURES
from styletransfer.errors import REFUSALS, CheckpointRejected
from styletransfer.manifest import Manifest
from styletransfer.onnx_file import check_onnx
from styletransfer.proposing import propose
from styletransfer.safetensors_file import read_header, require_architecture, require_finite
from styletransfer.sniff import HEAD_BYTES, sniff
from submissions.failures import Failure
from submissions.services import read_manifest
from tests.api.conftest import Entrant, client_for
from tests.factories import make_phase, make_team, make_user
from tests.fuzzing import inputs
from tests.hostile.case import ONNX, WEIGHTS

_SECONDS = float(os.environ.get("ARENA_FUZZ_SECONDS", "0"))
_TARGETS = 5
_A_FEW, _A_ROUND = 60, 300
_LONGEST_S = 10  # of processor time, for one input; hanging is what is looked for
_ONNX, _WEIGHTS = Manifest.model_validate(ONNX), Manifest.model_validate(WEIGHTS)
_ARCHITECTURE = ARCHITECTURES["transformer_net"]


def fuzz(strategy: st.SearchStrategy[Any], check: Callable[[Any], None]) -> None:
    """Try a few inputs, always the same, or new ones until the time is over."""

    def tried(value: Any) -> None:
        with _no_hang():
            check(value)

    plain = settings(
        deadline=None, database=None, print_blob=True, suppress_health_check=list(HealthCheck)
    )
    if not _SECONDS:
        settings(plain, max_examples=_A_FEW, derandomize=True)(given(strategy)(tried))()
        return
    end = time.monotonic() + _SECONDS / _TARGETS
    rounds = 0
    while time.monotonic() < end:
        a_round = given(strategy)(lambda value: tried(value))  # each function is decorated once
        settings(plain, max_examples=_A_ROUND)(a_round)()
        rounds += 1
    print(f"{rounds} rounds of {_A_ROUND}")


@contextmanager
def _no_hang() -> Iterator[None]:
    def give_up(*_: object) -> None:
        raise TimeoutError(f"more than {_LONGEST_S} s of processor time")

    before = signal.signal(signal.SIGVTALRM, give_up)
    signal.setitimer(signal.ITIMER_VIRTUAL, _LONGEST_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def refuses_or_takes(read: Callable[[], object]) -> None:
    """Read; what is refused has a code, facts that can be stored, and words to be shown."""
    try:
        read()
    except CheckpointRejected as error:
        refusal = error
    else:
        return
    assert refusal.code in REFUSALS
    json.dumps(refusal.facts, allow_nan=False).encode()
    told = Failure(refusal.code, refusal.facts).detail
    assert told.isprintable()
    assert told.encode()


def test_the_safetensors_reader() -> None:
    def read(data: bytes) -> None:
        sniff(data[:HEAD_BYTES], len(data), data[-1000:])
        header = read_header(data)
        require_architecture(header, _ARCHITECTURE, _WEIGHTS.parameters)
        require_finite(data, header)

    files = inputs.bent(inputs.SAFETENSORS_FILES)
    fuzz(st.one_of(files, inputs.tables()), lambda data: refuses_or_takes(lambda: read(data)))


def test_the_onnx_reader() -> None:
    def read(data: bytes) -> None:
        with np.errstate(all="ignore"):
            check_onnx(data, _ONNX)

    files = st.one_of(inputs.bent(inputs.ONNX_FILES), inputs.models())
    fuzz(files, lambda data: refuses_or_takes(lambda: read(data)))


def test_the_proposer_of_manifests() -> None:
    every = [*inputs.ONNX_FILES, *inputs.SAFETENSORS_FILES]
    files = st.one_of(inputs.bent(every), inputs.models(), inputs.tables(), st.binary())

    def read(data: bytes) -> None:
        with np.errstate(all="ignore"):
            propose(data)

    fuzz(files, lambda data: refuses_or_takes(lambda: read(data)))


def test_the_reader_of_manifests() -> None:
    def read(text: bytes) -> None:
        try:
            manifest = read_manifest(text)
        except Invalid as error:
            told = json.dumps([str(error.detail), error.facts], allow_nan=False)
            assert told.encode()
            return
        assert read_manifest(manifest.canonical_json()) == manifest

    fuzz(inputs.manifest_texts(), read)


@pytest.mark.django_db
def test_the_address_that_takes_submissions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("submissions.api.UploadThrottle.THROTTLE_RATES", {"upload": None})
    phase = make_phase(quota_per_day=10**6, quota_total=10**6, quota_concurrent=10**6)
    user = make_user()
    entrant = Entrant(user, make_team(user, phase=phase), phase, client_for(user))
    every = [*inputs.ONNX_FILES, *inputs.SAFETENSORS_FILES]

    def post(sent: tuple[bytes, bytes, str]) -> None:
        data, manifest, name = sent
        file = SimpleUploadedFile("x", data)
        vars(file)["_name"] = name  # as it came: Django's own setter would clean it
        answer = entrant.submit({"checkpoint": file, "manifest": manifest})
        assert answer.status_code < 500, answer.content
        assert answer.status_code in {201, 400, 403, 409, 413, 429}

    files = st.one_of(inputs.bent(every), st.binary(max_size=100))
    manifests = st.one_of(inputs.manifest_texts(), st.just(json.dumps(ONNX).encode()))
    fuzz(st.tuples(files, manifests, st.text(max_size=150)), post)
