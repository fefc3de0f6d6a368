import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.db.models.functions import Now
from django.utils.timezone import now

import styletransfer
from styletransfer.errors import REFUSALS
from submissions.failures import CODES, Failure
from submissions.models import Submission
from submissions.states import (
    ACTIVE,
    EXPLAINED,
    MAY_BE_SENT_AGAIN,
    TRANSITIONS,
    Status,
    is_final,
    sources_of,
)
from tests.factories import make_phase, make_submission, make_team, make_user

ENDS = {Status.REJECTED, Status.SCORED, Status.FAILED, Status.CANCELLED, Status.WITHDRAWN}


def refused(write: Callable[[], Any]) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        write()


# --- The table ----------------------------------------------------------------------------------
def test_the_states_are_those_of_the_contract() -> None:
    assert set(Status.values) == {
        "checking",
        "rejected",
        "queued",
        "running",
        "scored",
        "failed",
        "platform_fault",
        "cancelled",
        "withdrawn",
    }


def test_every_state_can_be_reached_and_left_until_an_end() -> None:
    reachable = {target for targets in TRANSITIONS.values() for target in targets}
    assert reachable == set(Status)
    for status in Status:
        seen: set[Status] = set()
        todo = [status]
        while todo:
            todo += TRANSITIONS.get(here := todo.pop(), set()) - seen - {here}
            seen.add(here)
        assert seen & ENDS


def test_the_ends_are_final() -> None:
    assert {status for status in Status if is_final(status)} == ENDS
    assert not ENDS & set(ACTIVE)


def test_only_active_and_faulty_ones_can_be_cancelled() -> None:
    assert set(sources_of(Status.CANCELLED)) == {*ACTIVE, Status.PLATFORM_FAULT}


# --- Rows ---------------------------------------------------------------------------------------
@pytest.mark.django_db
@pytest.mark.parametrize("source", Status)
@pytest.mark.parametrize("target", Status)
def test_a_row_moves_only_along_the_table(source: Status, target: Status) -> None:
    row = make_submission(status=source)
    changes: dict[str, Any] = {
        "failure_code": "too_slow" if target in EXPLAINED else "",
        "lease_expires_at": now() if target == Status.RUNNING else None,
    }
    moved = row._move(target, **changes)
    assert moved == (target in TRANSITIONS.get(source, set()))
    row.refresh_from_db()
    assert row.status == (target if moved else source)


@pytest.mark.django_db
def test_a_worker_that_lost_its_row_can_neither_renew_nor_finish() -> None:
    lost = make_submission(status=Status.QUEUED)
    soon = now() + timedelta(minutes=1)
    assert lost.claim(Status.RUNNING, lease_expires_at=soon)
    current = Submission.objects.get(pk=lost.pk)
    assert current.move(Status.QUEUED, queued_at=now())
    assert current.claim(Status.RUNNING, lease_expires_at=soon)
    assert not lost.renew(lease_expires_at=soon)
    assert not lost.move(Status.SCORED)
    assert current.renew(lease_expires_at=soon, progress_done=3)
    assert current.move(Status.SCORED)
    assert (current.attempt, current.lease_expires_at) == (2, None)


@pytest.mark.django_db
def test_a_row_that_is_held_or_postponed_cannot_be_claimed() -> None:
    soon = now() + timedelta(minutes=1)
    held = make_submission(status=Status.CHECKING, lease_expires_at=soon)
    assert not held.claim(Status.CHECKING, lease_expires_at=soon)
    postponed = make_submission(status=Status.QUEUED, not_before=soon)
    assert not postponed.claim(Status.RUNNING, lease_expires_at=soon)
    free = make_submission(status=Status.QUEUED, not_before=Now())
    assert free.claim(Status.RUNNING, lease_expires_at=soon)
    assert free.started_at is not None


# --- Constraints --------------------------------------------------------------------------------
@pytest.mark.django_db
@pytest.mark.parametrize(
    ("status", "change"),
    [
        (Status.QUEUED, {"status": "unknown"}),
        (Status.FAILED, {"failure_code": ""}),
        (Status.REJECTED, {"failure_code": ""}),
        (Status.SCORED, {"failure_code": "too_slow"}),
        (Status.RUNNING, {"lease_expires_at": None}),
        (Status.SCORED, {"lease_expires_at": now()}),
        (Status.QUEUED, {"lease_expires_at": now()}),
    ],
)
def test_the_database_refuses_rows_that_make_no_sense(
    status: Status, change: dict[str, Any]
) -> None:
    row = make_submission(status=status)
    refused(lambda: Submission.objects.filter(pk=row.pk).update(**change))


@pytest.mark.django_db
@pytest.mark.parametrize("status", Status)
def test_a_file_is_there_once_unless_the_first_came_to_nothing(status: Status) -> None:
    phase = make_phase()
    same = {"phase": phase, "team": make_team(make_user(), phase=phase), "sha256": "5" * 64}
    make_submission(status=status, **same)
    if status in MAY_BE_SENT_AGAIN:
        make_submission(**same)
    else:
        refused(lambda: make_submission(**same))
    make_submission(phase=phase, sha256="5" * 64)
    make_submission(**(same | {"phase": make_phase(competition=phase.competition)}))
    make_submission(**same, manifest_sha256="6" * 64)


# --- Failures -----------------------------------------------------------------------------------
@pytest.mark.parametrize("code", sorted(CODES))
def test_every_failure_has_a_sentence_even_without_facts(code: str) -> None:
    detail = Failure(code, {}).detail
    assert len(detail) > 10
    assert "{" not in detail
    assert "?" not in detail or "{" in str(Failure(code, {"x": 1}))


def test_facts_are_shown_as_they_are_even_with_braces_in_them() -> None:
    detail = Failure("unsupported_operator", {"operator": "{__class__} {0}"}).detail
    assert "{__class__} {0}" in detail
    assert "none" in Failure("wrong_keys", {"missing": [], "unexpected": ["a"]}).detail


def test_every_refusal_of_the_core_has_a_sentence_of_its_own() -> None:
    assert set(REFUSALS) <= CODES


def test_every_reason_of_the_core_is_told_in_words() -> None:
    core = Path(styletransfer.__file__).parent
    found = set()
    for name in ("safetensors_file.py", "onnx_file.py", "onnx_generator.py", "checkpoint.py"):
        text = (core / name).read_text()
        found |= set(re.findall(r'(?:_corrupt\(|_refuse\(|reason=)"(\w+)"', text))
    assert len(found) > 15
    for reason in found:
        assert f": {reason}." not in Failure("corrupt_file", {"reason": reason}).detail


@pytest.mark.parametrize(
    ("code", "facts", "words"),
    [
        (
            "wrong_size",
            {"expected": [256, 256], "found": [512, 512]},
            "512 \N{MULTIPLICATION SIGN} 512 only",
        ),
        ("wrong_inputs", {"problem": "names", "expected": ["a"], "found": ["b"]}, "says a"),
        (
            "wrong_inputs",
            {"problem": "layout", "key": "x", "expected": [1, 3, None, None], "found": [1, 4]},
            "it must be 1 \N{MULTIPLICATION SIGN} 3 \N{MULTIPLICATION SIGN} any",
        ),
        ("output_shape", {"problem": "outputs", "expected": 1, "found": 2}, "has 2 outputs"),
        ("too_many_parameters", {"problem": "tensors", "found": 9, "limit": 5}, "9 tensors"),
        ("wrong_dtype", {"problem": "picture", "key": "x", "found": "INT8"}, "x as INT8"),
        ("not_a_checkpoint", {"kind": "picture"}, "looks like: a picture"),
        ("format_refused", {"kind": "pickle"}, "(pickle)"),
    ],
)
def test_a_failure_says_what_is_wrong(code: str, facts: dict[str, Any], words: str) -> None:
    assert words in Failure(code, facts).detail


def test_a_code_nobody_knows_still_explains_itself() -> None:
    assert Failure("from_the_future", {"reason": "x"}).detail
