"""A manifest is left out, proposed, changed and confirmed without another upload or a charge."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.utils.timezone import now

from arena.accounts.models import User
from competitions.errors import Conflict, Forbidden, Invalid, QuotaSpent
from competitions.models import Phase, Team
from evaluation import services as evaluation_services
from evaluation.assignment import FirstLook
from evaluation.models import EvaluationRun, FirstPicture, Stage
from styletransfer.manifest import Manifest
from styletransfer.proposal import Proposal, Reason
from submissions import describing, quota, services
from submissions.models import Submission
from submissions.states import Status
from submissions.waiting import place_of
from tests.factories import MANIFEST, make_phase, make_png, make_submission, make_team, make_user
from tests.uploads import make_onnx, make_upload

pytestmark = pytest.mark.django_db
OTHER = Manifest.model_validate({**MANIFEST, "output_range": "-1..1"})


class Entrant:
    def __init__(self, **limits: Any) -> None:
        self.user: User = make_user()
        self.phase: Phase = make_phase(**limits)
        self.team: Team = make_team(self.user, phase=self.phase)

    def submit(self, data: bytes | None = None, **options: Any) -> Submission:
        upload = make_upload(data)
        return services.submit(by=self.user, phase=self.phase, checkpoint=upload, **options)


@pytest.fixture
def entrant() -> Entrant:
    return Entrant(quota_per_day=2, quota_concurrent=5)


def begin(submission: Submission) -> EvaluationRun:
    run = evaluation_services.begin(submission, Stage.CHECK, worker="test")
    assert run is not None
    return run


def proposal(**changes: Any) -> Proposal:
    manifest = Manifest.model_validate({**MANIFEST, **changes})
    return Proposal(manifest, {"input_range": Reason("usual"), "format": Reason("seen_in_file")})


def first_look(**changes: Any) -> FirstLook:
    png = make_png(1)
    plain: dict[str, Any] = {"content": png, "style": b"", "picture": png, "is_test_card": False}
    return FirstLook(**{**plain, "hints": [], "measured": {}, **changes})


def pass_check(submission: Submission, **options: Any) -> Submission:
    run = begin(submission)
    evaluation_services.record_check_passed(run, first=first_look(), **options)
    submission.refresh_from_db()
    return submission


def reject(submission: Submission) -> Submission:
    evaluation_services.record_refusal(begin(submission), code="output_shape", facts={})
    submission.refresh_from_db()
    return submission


def test_the_check_fills_in_a_manifest_that_was_left_out(entrant: Entrant) -> None:
    made = entrant.submit()
    assert (made.manifest, made.is_described) == ({"format": "onnx"}, False)
    pass_check(made, proposal=proposal())
    assert made.status == Status.QUEUED
    assert made.manifest == MANIFEST
    assert made.proposal is not None
    assert made.proposal["reasons"]["input_range"]["is_certain"] is False
    assert (
        made.manifest_sha256 == describing.manifest_fields(proposal().manifest)["manifest_sha256"]
    )


def test_a_state_dict_stays_one_in_its_manifest(entrant: Entrant) -> None:
    made = make_submission(
        phase=entrant.phase, team=entrant.team, **describing.undescribed_fields("state_dict")
    )
    weights = {"format": "safetensors", "architecture": "transformer_net"}
    run = begin(made)
    run.submission.converted_sha256 = "a" * 64  # as the conversion found
    evaluation_services.record_check_passed(run, proposal=proposal(**weights))
    made.refresh_from_db()
    assert (made.manifest["format"], made.converted_sha256) == ("state_dict", "a" * 64)


def test_the_same_file_without_a_manifest_is_a_duplicate_before_and_after_its_check(
    entrant: Entrant,
) -> None:
    data = make_onnx()
    made = entrant.submit(data)
    for _ in range(2):
        with pytest.raises(Conflict) as caught:
            entrant.submit(data)
        assert caught.value.facts["submission"] == str(made.pk)
        if made.status == Status.CHECKING:
            pass_check(made, proposal=proposal())


def test_a_file_that_is_proposed_what_was_sent_already_is_rejected_and_costs_nothing(
    entrant: Entrant,
) -> None:
    data = make_onnx()
    entrant.submit(data, manifest=dict(MANIFEST))
    second = entrant.submit(data)
    pass_check(second, proposal=proposal())
    assert (second.status, second.failure_code) == (Status.REJECTED, "duplicate")
    assert quota.count(entrant.phase, entrant.team).per_day.used == 1
    assert not FirstPicture.objects.filter(run__submission=second).exists()


def test_a_held_submission_waits_has_no_place_and_queues_when_released(entrant: Entrant) -> None:
    made = pass_check(entrant.submit(manifest=dict(MANIFEST), hold=True))
    assert made.is_waiting_for_team
    assert made.not_before is not None
    assert made.not_before > now() + timedelta(minutes=10)
    assert place_of(made) is None
    assert evaluation_services.begin(made, Stage.SCORE, worker="test") is None
    with pytest.raises(Forbidden):
        describing.release(made, by=make_user())
    describing.release(made, by=entrant.user)
    made.refresh_from_db()
    released = Submission.objects.get(pk=made.pk)
    assert (released.is_waiting_for_team, released.not_before) == (False, None)
    assert place_of(released) is not None
    assert evaluation_services.begin(made, Stage.SCORE, worker="test") is not None
    with pytest.raises(Conflict) as caught:
        describing.release(made, by=entrant.user)
    assert caught.value.code == "not_held"


def test_a_held_submission_queues_by_itself_in_the_end(entrant: Entrant) -> None:
    made = pass_check(entrant.submit(manifest=dict(MANIFEST), hold=True))
    Submission.objects.update(not_before=now() - timedelta(seconds=1))
    made.refresh_from_db()
    assert evaluation_services.begin(made, Stage.SCORE, worker="test") is not None
    assert not made.is_waiting_for_team


@pytest.mark.parametrize("state", ["checking", "held by a worker", "queued", "rejected"])
def test_a_manifest_is_changed_until_scoring_begins_and_the_file_is_checked_again(
    entrant: Entrant, state: str
) -> None:
    made = entrant.submit(manifest=dict(MANIFEST))
    run = begin(made) if state == "held by a worker" else None
    if state == "queued":
        pass_check(made)
    if state == "rejected":
        reject(made)
    used = quota.count(entrant.phase, entrant.team).per_day.used
    describing.change_manifest(Submission.objects.get(pk=made.pk), OTHER, by=entrant.user)
    if run is None:
        made.refresh_from_db()
    now_stored = Submission.objects.get(pk=made.pk)
    assert (now_stored.status, now_stored.manifest["output_range"]) == (Status.CHECKING, "-1..1")
    assert (now_stored.failure_code, now_stored.lease_expires_at) == ("", None)
    assert now_stored.is_held
    assert quota.count(entrant.phase, entrant.team).per_day.used == max(used, 1)
    if run is not None:  # what the earlier attempt finds is nobody's any more
        assert not evaluation_services.record_check_passed(run, first=first_look())
        made.refresh_from_db()
        assert made.status == Status.CHECKING
    assert pass_check(made).status == Status.QUEUED


def test_what_runs_or_has_ended_keeps_its_manifest(entrant: Entrant) -> None:
    for status in (Status.RUNNING, Status.SCORED, Status.FAILED, Status.CANCELLED):
        made = make_submission(phase=entrant.phase, team=entrant.team, status=status)
        with pytest.raises(Conflict) as caught:
            describing.change_manifest(made, OTHER, by=entrant.user)
        assert caught.value.code == "not_changeable"
        made.refresh_from_db()
        assert made.manifest == MANIFEST


def test_a_rejected_one_needs_room_again(entrant: Entrant) -> None:
    first = reject(entrant.submit(manifest=dict(MANIFEST)))
    for _ in range(2):
        entrant.submit(manifest=dict(MANIFEST))
    with pytest.raises(QuotaSpent):
        describing.change_manifest(first, OTHER, by=entrant.user)
    first.refresh_from_db()
    assert first.status == Status.REJECTED


def test_a_rejected_one_of_yesterday_counts_from_now_on(entrant: Entrant) -> None:
    made = reject(entrant.submit(manifest=dict(MANIFEST)))
    Submission.objects.update(created_at=now() - timedelta(days=3))
    describing.change_manifest(made, OTHER, by=entrant.user)
    assert quota.count(entrant.phase, entrant.team).per_day.used == 1


def test_a_change_is_refused_that_makes_no_sense(entrant: Entrant) -> None:
    data = make_onnx()
    made = entrant.submit(data, manifest=dict(MANIFEST))
    entrant.submit(data, manifest=OTHER.model_dump(mode="json"))
    same = Manifest.model_validate(dict(MANIFEST))
    weights = {**MANIFEST, "format": "safetensors", "architecture": "transformer_net"}
    for manifest, by, error, code in (
        (same, entrant.user, Conflict, "unchanged"),
        (OTHER, entrant.user, Conflict, "duplicate"),
        (Manifest.model_validate(weights), entrant.user, Invalid, "format_mismatch"),
        (OTHER, make_user(), Forbidden, "not_your_submission"),
    ):
        with pytest.raises(error) as caught:
            describing.change_manifest(made, manifest, by=by)
        assert caught.value.code == code
    made.refresh_from_db()
    assert json.dumps(made.manifest, sort_keys=True) == json.dumps(dict(MANIFEST), sort_keys=True)


def test_a_new_check_takes_the_place_of_the_last_picture(
    entrant: Entrant, django_capture_on_commit_callbacks: Any
) -> None:
    made = pass_check(entrant.submit(manifest=dict(MANIFEST)))
    before = FirstPicture.objects.get()
    describing.change_manifest(made, OTHER, by=entrant.user)
    with django_capture_on_commit_callbacks(execute=True):
        pass_check(made)
    after = FirstPicture.objects.get()
    assert after.pk != before.pk
    assert after.picture.storage.exists(str(after.picture.name))
    assert not before.picture.storage.exists(str(before.picture.name))
    describing.change_manifest(made, proposal().manifest, by=entrant.user)
    with django_capture_on_commit_callbacks(execute=True):
        reject(made)
    assert not FirstPicture.objects.exists()
    assert not after.picture.storage.exists(str(after.picture.name))
