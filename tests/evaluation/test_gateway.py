"""A worker's token opens its own queue's runs and nothing else, and reports are held to the job."""

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any
from uuid import uuid4

import pytest
from django.core import signing
from django.core.cache import cache
from django.db.models.functions import Now
from django.http.response import HttpResponseBase
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from competitions.errors import Conflict, Forbidden
from evaluation import sweeper
from evaluation.assignment import Assignment, Notes
from evaluation.gateway import broker, files, reports, tokens
from evaluation.models import EvaluationRun, Outcome, Worker
from evaluation.presence import platform_version
from evaluation.worker_token import WorkerToken
from submissions.models import Submission
from submissions.states import Status
from tests.deployment import free_port
from tests.factories import make_phase, make_png, make_submission, make_user
from tests.organizing.scene import make_organizer

pytestmark = pytest.mark.django_db


class Machine:
    """A worker elsewhere that has joined."""

    def __init__(self, name: str, queue: str) -> None:
        admin = make_user(is_superuser=True, is_staff=True)
        self.token, self.key = tokens.issue(name=name, queue=queue, by=admin)
        self.admin = admin
        self.worker = Worker.objects.create(
            name=f"{queue}@{name}",
            token=self.token,
            version="1",
            device="cpu",
            threads=1,
            queues=[queue],
            sandbox_check={"is_ok": True},
            started_at=Now(),
            seen_at=Now(),
        )
        self.client = Client(headers={"Authorization": f"Worker {self.key}"})

    def post(self, name: str, body: Mapping[str, Any], *args: object) -> Any:
        address = reverse(f"api-worker-{name}", args=args)
        return self.client.post(address, json.dumps(body), content_type="application/json")

    def claim(self, submission: Submission) -> Any:
        return self.post("claim", {"submission": str(submission.pk), "worker": self.worker.name})

    def assignment(self, submission: Submission) -> Assignment:
        answer = self.claim(submission)
        assert answer.status_code == 201, answer.content
        return Assignment.from_json(answer.json()["assignment"])


@pytest.fixture(name="machine")
def make_machine() -> Machine:
    return Machine("mine", "gpu")


def queued(**fields: Any) -> Submission:
    return make_submission(phase=make_phase(workers="gpu", **fields), status=Status.QUEUED)


def body_of(response: HttpResponseBase) -> bytes:
    return b"".join(response.streaming_content)  # type: ignore[attr-defined]


def notes() -> dict[str, Any]:
    return asdict(Notes())


def test_a_claim_is_an_assignment_once_and_then_nothing(machine: Machine) -> None:
    submission = queued()
    assignment = machine.assignment(submission)
    assert (assignment.submission, assignment.stage) == (submission.pk, "score")
    assert assignment.recipe == submission.phase.recipe.as_value()
    assert machine.claim(submission).status_code == 204
    assert machine.post("renew", {"step": "generating"}, assignment.run).status_code == 204
    submission.refresh_from_db()
    assert (submission.status, submission.step) == (Status.RUNNING, "generating")


def test_a_token_opens_its_own_queue_and_its_own_runs_only(machine: Machine) -> None:
    elsewhere = make_submission(status=Status.QUEUED)
    private = make_submission(phase=make_phase(workers="private"), status=Status.QUEUED)
    unchecked = make_submission(phase=make_phase(workers="gpu"), status=Status.CHECKING)
    for hidden in (elsewhere, private, unchecked):
        assert machine.claim(hidden).status_code == 204
    other = Machine("other", "gpu")
    run = other.assignment(queued()).run
    for name in ("renew", "report"):
        arguments = [run] if name == "renew" else [run, "hand-back"]
        assert machine.post(name, {"notes": notes()}, *arguments).status_code == 404
    for name in ("files", "references"):
        assert machine.client.get(reverse(f"api-worker-{name}", args=[run])).status_code == 404
    assert EvaluationRun.objects.get(pk=run).outcome == Outcome.RUNNING
    assert Client().post(reverse("api-worker-claim")).status_code == 401
    person = Client(headers={"Authorization": f"Token {machine.key}"})
    assert person.post(reverse("api-worker-claim")).status_code == 401
    assert machine.client.get(reverse("api-submission", args=[elsewhere.pk])).status_code in {
        401,
        404,
    }


def test_a_revoked_token_is_refused_at_once_and_its_work_goes_on_elsewhere(
    machine: Machine,
) -> None:
    submission = queued()
    run = machine.assignment(submission).run
    url = machine.client.get(reverse("api-worker-files", args=[run])).json()["checkpoint"]
    tokens.revoke(machine.token, by=machine.admin)
    assert machine.post("renew", {}, run).status_code == 401
    assert Client().get(url).status_code == 404
    submission.refresh_from_db()
    assert (submission.status, submission.faults) == (Status.QUEUED, 0)
    assert EvaluationRun.objects.get(pk=run).outcome == Outcome.STOPPED
    with pytest.raises(Conflict):
        tokens.revoke(machine.token, by=machine.admin)


def test_files_are_read_from_any_byte_for_a_while_and_only_while_the_run_is_held(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    submission = queued()
    run = machine.assignment(submission).run
    url = machine.client.get(reverse("api-worker-files", args=[run])).json()["checkpoint"]
    with submission.checkpoint.open("rb") as file:
        content = file.read()
    stranger = Client()
    assert body_of(stranger.get(url)) == content
    part = stranger.get(url, headers={"Range": "bytes=3-"})
    assert (part.status_code, body_of(part)) == (206, content[3:])
    assert part["Content-Range"] == f"bytes 3-{len(content) - 1}/{len(content)}"
    assert stranger.get(url, headers={"Range": "bytes=99999999-"}).status_code == 416
    forged = signing.dumps([run, "checkpoint", 0], salt="another")
    assert stranger.get(reverse("api-worker-file", args=[forged])).status_code == 403
    monkeypatch.setattr(files, "VALID_S", -1)
    answer = stranger.get(url)
    assert (answer.status_code, answer.json()["code"]) == (403, "address_expired")
    monkeypatch.undo()
    assert submission.pk
    assert machine.post("report", {"notes": notes()}, run, "hand-back").status_code == 200
    assert stranger.get(url).status_code == 409


def test_a_report_of_an_attempt_that_lost_its_lease_changes_nothing(machine: Machine) -> None:
    submission = queued()
    run = machine.assignment(submission).run
    Submission.objects.filter(pk=submission.pk).update(lease_expires_at=Now())
    refusal = {"code": "too_slow", "facts": {"limit_s": 1}, "notes": notes()}
    assert machine.post("renew", {}, run).status_code == 409
    assert machine.post("report", refusal, run, "refusal").status_code == 409
    submission.refresh_from_db()
    assert submission.status == Status.RUNNING


def test_a_refusal_that_was_sent_twice_counts_once(machine: Machine) -> None:
    submission = queued()
    run = machine.assignment(submission).run
    refusal = {"code": "too_slow", "facts": {"limit_s": 1}, "notes": notes()}
    for _ in range(2):
        assert machine.post("report", refusal, run, "refusal").status_code == 200
    submission.refresh_from_db()
    assert (submission.status, submission.failure_code) == (Status.FAILED, "too_slow")


@pytest.mark.parametrize(
    "changes",
    [
        {"code": "no_such_code"},
        {"code": "platform_fault"},
        {"facts": {"long": "x" * 10_000}},
        {"notes": {**asdict(Notes()), "log": "x" * 30_000}},
        {"notes": {**asdict(Notes()), "steps": {"run": "long"}}},
        {"notes": {**asdict(Notes()), "converted_sha256": "../x"}},
        {"notes": None},
    ],
)
def test_words_that_no_worker_would_say_are_refused(
    changes: dict[str, Any], machine: Machine
) -> None:
    submission = queued()
    run = machine.assignment(submission).run
    refusal = {"code": "too_slow", "facts": {}, "notes": notes(), **changes}
    answer = machine.post("report", refusal, run, "refusal")
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_report")
    submission.refresh_from_db()
    assert submission.status == Status.RUNNING


def archive(files: Mapping[str, bytes], kind: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", kind) as made:
        for name, data in files.items():
            made.writestr(name, data)
    return buffer.getvalue()


def test_scores_that_are_not_of_this_job_are_refused(machine: Machine) -> None:
    submission = queued()
    assignment = machine.assignment(submission)
    side = assignment.references.image_size
    report = json.dumps({"notes": notes(), "card": {"scores": {}}}).encode()
    pictures = {f"{n}.png": make_png(n, size=side) for n in range(assignment.count)}
    pictures |= {f"{n}.webp": b"RIFF....WEBP" for n in range(assignment.count)}
    whole = {"report.json": report, **pictures}
    for body in (
        b"no archive",
        archive(whole, zipfile.ZIP_DEFLATED),
        archive({"report.json": report}),
        archive({**whole, "extra": b""}),
        archive({**whole, "0.png": b"no picture"}),
        archive({**whole, "report.json": b'{"notes": NaN}'}),
        archive(whole),  # the card is not one
    ):
        address = reverse("api-worker-report", args=[assignment.run, "scores"])
        answer = machine.client.post(address, body, content_type="application/zip")
        assert answer.status_code == 400, (answer.status_code, answer.content)
    limit = reports.largest_archive(assignment)
    huge = machine.client.generic(
        "POST", address, b"", content_type="application/zip", CONTENT_LENGTH=str(limit + 1)
    )
    assert huge.status_code == 413
    submission.refresh_from_db()
    assert submission.status == Status.RUNNING


def test_organizers_make_tokens_for_their_own_competitions_alone() -> None:
    phase = make_phase(workers="private")
    olga = make_organizer(phase.competition)
    token, key = tokens.issue(name="ours", queue=phase.queue, by=olga)
    assert token.competition == phase.competition
    assert WorkerToken.objects.find(key) == token
    assert key not in str(token.__dict__)
    for queue in ("gpu", "checks", "evaluation", "private-999999"):
        with pytest.raises(Forbidden):
            tokens.issue(name=queue, queue=queue, by=olga)
    with pytest.raises(Conflict):
        tokens.issue(name="ours", queue=phase.queue, by=olga)


def test_a_token_is_made_shown_once_and_revoked_in_the_admin(client: Client) -> None:
    phase = make_phase(workers="private")
    olga = make_organizer(phase.competition)
    client.force_login(olga)
    page = client.post(
        reverse("admin:evaluation_workertoken_add"),
        {"name": "lab", "queue": phase.queue},
        follow=True,
    )
    token = WorkerToken.objects.get()
    assert "shown only now" in page.content.decode()
    assert (token.queue, token.created_by) == (phase.queue, olga)
    stranger = Client()
    stranger.force_login(make_organizer())
    revoke = reverse("admin:evaluation_workertoken_revoke", args=[token.pk])
    assert stranger.post(revoke).status_code in {302, 404}
    assert WorkerToken.objects.usable().exists()
    client.post(revoke)
    assert not WorkerToken.objects.usable().exists()


def test_a_site_whose_broker_is_a_folder_says_so_to_who_joins(
    machine: Machine, settings: Settings
) -> None:
    settings.REDIS_URL = ""
    told = {"name": "m", "version": platform_version(), "device": "cpu", "threads": 1}
    told["sandbox_check"] = {"is_ok": True}
    answer = machine.post("join", told)
    assert (answer.status_code, answer.json()["code"]) == (409, "no_broker")
    answer = machine.post("join", {**told, "version": "0.0.0"})
    assert (answer.status_code, answer.json()["code"]) == (409, "other_version")


def test_a_submission_that_there_is_not_is_nothing_to_do(machine: Machine) -> None:
    body = {"submission": str(uuid4()), "worker": machine.worker.name}
    assert machine.post("claim", body).status_code == 204
    assert machine.post("claim", {**body, "worker": "gpu@another"}).status_code == 409


def test_a_token_revoked_while_redis_was_away_loses_its_user_by_the_sweeper(
    settings: Settings, redis_url: str
) -> None:
    settings.REDIS_URL = settings.WORKER_BROKER_URL = redis_url
    machine = Machine("far", "gpu")
    broker.grant(machine.token)
    settings.REDIS_URL = f"redis://127.0.0.1:{free_port()}/0"
    tokens.revoke(machine.token, by=machine.admin)
    sweeper.withdraw_revoked_tokens()
    settings.REDIS_URL = redis_url
    assert broker.is_granted(machine.token)

    cache.clear()  # the pause after the failure
    sweeper.withdraw_revoked_tokens()

    assert not broker.is_granted(machine.token)
