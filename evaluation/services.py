"""Record what a worker did, once: each function moves the submission and its run together."""

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import DatabaseError, IntegrityError, InterfaceError, transaction
from django.db.models import F
from django.db.models.functions import Coalesce, Now

from competitions.models import Pair
from competitions.services import publish_entry
from evaluation import first_looks, mails
from evaluation.assignment import FirstLook, Notes, Picture
from evaluation.board import rebuild_entry
from evaluation.models import EvaluationRun, ImageScore, Outcome, Output, Score, Stage
from evaluation.pictures import discard_pictures, store_pictures
from evaluation.row_lease import next_expiry
from evaluation.worker_token import WorkerToken
from styletransfer.proposal import Proposal
from styletransfer.score_card import ScoreCard
from submissions import dispatch
from submissions.describing import HOLD_FOR, manifest_fields
from submissions.models import Submission
from submissions.states import Status

log = logging.getLogger(__name__)
LOG_CHARACTERS = 20_000
ROWS_AT_ONCE = 5_000


@transaction.atomic
def begin(
    submission: Submission, stage: Stage, *, worker: str, token: WorkerToken | None = None
) -> EvaluationRun | None:
    """Claim ``submission`` for one attempt; return None if it is not waiting for this stage.

    A worker elsewhere is known by its ``token``, which alone may report what comes of it.
    """
    target = Status.CHECKING if stage == Stage.CHECK else Status.RUNNING
    if not submission.claim(target, lease_expires_at=next_expiry()):
        return None
    run = EvaluationRun.objects.create(
        submission=submission,
        attempt=submission.attempt,
        stage=stage,
        worker=worker,
        token=token,
        started_at=Now(),
    )
    run.refresh_from_db(fields=["started_at"])
    return run


def write_down(run: EvaluationRun, notes: Notes) -> EvaluationRun:
    """Take over what a worker has noted; it is stored with what comes of the attempt."""
    run.steps, run.versions, run.log = notes.steps, notes.versions, notes.log
    run.submission.converted_sha256 = notes.converted_sha256
    return run


def record_check_passed(
    run: EvaluationRun, *, first: FirstLook | None = None, proposal: Proposal | None = None
) -> bool:
    """Put a checked submission in the queue; return False if the attempt was over already.

    One that the team wants to look at first waits there, but not for ever.
    """
    submission = run.submission
    described = _describe(submission, proposal)
    held = {"not_before": Now() + HOLD_FOR} if submission.is_held else {}
    kept = None if first is None else first_looks.store(run, first)
    try:
        with transaction.atomic():
            queued = submission.report(
                Status.QUEUED,
                checked_at=Now(),
                queued_at=Now(),
                faults=0,
                step="",
                converted_sha256=submission.converted_sha256,
                **described,
                **held,
            )
            _finish(run, Outcome.PASSED if queued else Outcome.STOPPED)
            if queued:
                first_looks.replace(run, kept)
                if not held:
                    # Robust: trouble with the message must not look like trouble with the check.
                    pk = submission.pk
                    transaction.on_commit(lambda: dispatch.send(pk, Status.QUEUED), robust=True)
    except IntegrityError:
        # Described as proposed it is one that the team has sent already.
        run.outcome = Outcome.RUNNING
        record_refusal(run, code="duplicate", facts={})
        queued = False
    if not queued and kept is not None:
        first_looks.remove_files(kept)
    return queued


def _describe(submission: Submission, proposal: Proposal | None) -> dict[str, Any]:
    if proposal is None:
        return {}
    manifest = proposal.manifest.model_copy(update={"format": submission.manifest["format"]})
    told = proposal.to_json() | {"manifest": manifest.model_dump(mode="json")}
    return {**manifest_fields(manifest), "proposal": told}


def record_refusal(run: EvaluationRun, *, code: str, facts: Mapping[str, Any]) -> bool:
    """End a submission by the participant's fault: rejected when checked, failed when run."""
    target = Status.REJECTED if run.stage == Stage.CHECK else Status.FAILED
    with transaction.atomic():
        ended = run.submission.report(
            target,
            failure_code=code,
            failure_facts=dict(facts),
            finished_at=Now(),
            # What was found before counts no longer: started again, it starts from nothing.
            scored_at=None,
            converted_sha256=run.submission.converted_sha256,
            step="",
        )
        _finish(run, Outcome.REFUSED if ended else Outcome.STOPPED)
        if ended:
            if run.stage == Stage.CHECK:
                first_looks.replace(run, None)  # what another manifest gave says nothing of this
            if _supersede(run.submission):
                rebuild_entry(run.submission.phase, run.submission.team)
            mails.tell_ended(run.submission)
    return ended


def record_fault(run: EvaluationRun, *, reason: str) -> bool:
    """Note that the platform failed; the sweeper tries again, nothing is charged."""
    run.log = f"{run.log}\n{reason}".strip()[-LOG_CHARACTERS:]
    with transaction.atomic():
        moved = _note_fault(run.submission, Status.PLATFORM_FAULT, run.submission.report)
        _finish(run, Outcome.FAULT if moved else Outcome.STOPPED)
    return moved


def record_final_fault(run: EvaluationRun, *, reason: str) -> bool:
    """Note that the platform failed as often as it may: an organizer has to start it again."""
    last = settings.EVALUATION_MAX_FAULTS - 1
    Submission.objects.filter(pk=run.submission_id, attempt=run.attempt).update(faults=last)
    return record_fault(run, reason=reason)


def record_stopped(run: EvaluationRun) -> None:
    """Close a run whose submission was cancelled or taken over."""
    _finish(run, Outcome.STOPPED)


def hand_back(run: EvaluationRun) -> None:
    """Let another worker have the submission at once: this one was asked to end, no fault."""
    target = Status.CHECKING if run.stage == Stage.CHECK else Status.QUEUED
    with transaction.atomic():
        run.submission.report(
            target, attempt=F("attempt") + 1, dispatched_at=None, started_at=None, step=""
        )
        _finish(run, Outcome.STOPPED)


def take_from_lost_worker(submission: Submission) -> bool:
    """Let another worker have a submission whose own went silent; return whether it was ours."""
    target = Status.CHECKING if submission.status == Status.CHECKING else Status.QUEUED
    with transaction.atomic():
        held = submission.attempt
        # A worker that renews in this moment keeps its submission.
        lost = Submission.objects.lost().filter(pk=submission.pk, attempt=held)
        if not lost.select_for_update().exists():
            return False
        if not _note_fault(submission, target, submission.move):
            return False
        EvaluationRun.objects.filter(
            submission=submission, attempt=held, outcome=Outcome.RUNNING
        ).update(outcome=Outcome.LOST, finished_at=Now())
    return True


def _note_fault(submission: Submission, target: Status, move: Callable[..., bool]) -> bool:
    """Take a submission from its attempt after the platform let it down.

    ``attempt`` grows, so that whoever held the row can no longer write to it. After too many
    faults the row rests in PLATFORM_FAULT until an organizer starts it again.
    """
    # Asked again: a change that was rolled back leaves its value on the object.
    submission.refresh_from_db(fields=["faults"])
    faults = submission.faults + 1
    spent = faults >= settings.EVALUATION_MAX_FAULTS
    if spent:
        target = Status.PLATFORM_FAULT
    code = ""
    if target == Status.PLATFORM_FAULT:
        code = "platform_fault_final" if spent else "platform_fault"
    # 4 s, 16 s, 1 min, 4 min: an outage of a few minutes must not use up all the tries.
    pause = timedelta(seconds=min(4**faults, 900)) if target == Status.PLATFORM_FAULT else None
    moved = move(
        target,
        attempt=F("attempt") + 1,
        faults=faults,
        failure_code=code,
        failure_facts={},
        not_before=Now() + pause if pause and not spent else None,
        dispatched_at=None,
        started_at=None,
        finished_at=Now() if spent else None,
        step="",
    )
    if moved and spent:
        mails.tell_ended(submission)
    return moved


def record_scores(
    run: EvaluationRun,
    card: ScoreCard,
    *,
    pairs: Sequence[Pair],
    pictures: Sequence[Picture] | None,
) -> bool:
    """Store scores and pictures if this attempt still holds the row; return whether it did.

    Without pictures where they have been stored already.
    """
    files = [] if pictures is None else store_pictures(run, pairs, pictures)
    try:
        with transaction.atomic():
            stored = run.submission.report(
                Status.SCORED,
                finished_at=Now(),
                scored_at=Coalesce("scored_at", Now()),
                step="",
                faults=0,
            )
            is_again = stored and _supersede(run.submission)
            if stored:
                _write_scores(run, card, pairs=pairs)
                Output.objects.bulk_create(files)
            _finish(run, Outcome.PASSED if stored else Outcome.STOPPED)
            if is_again:  # takes its place even if it is worse now
                rebuild_entry(run.submission.phase, run.submission.team)
            elif stored and not run.submission.exclusion:  # as the row is now, not as claimed
                _publish(run.submission, card)
    except BaseException:
        _discard(run, files)
        raise
    if not stored:
        _discard(run, files)
    return stored


def _write_scores(run: EvaluationRun, card: ScoreCard, *, pairs: Sequence[Pair]) -> None:
    run.card = card.to_json()
    recipe = run.submission.phase.recipe.as_value()
    Score.objects.bulk_create(
        Score(run=run, metric=key, value=score.value, low=score.low, high=score.high)
        for key, score in card.values_of(recipe).items()
    )
    rows = [
        ImageScore(run=run, pair=pair, metric=key, value=value)
        for key, values in card.per_pair.items()
        for pair, value in zip(pairs, values, strict=True)
    ]
    ImageScore.objects.bulk_create(rows, batch_size=ROWS_AT_ONCE)


def _supersede(submission: Submission) -> bool:
    """Let what was found before count no longer; return whether there was anything."""
    counted = EvaluationRun.objects.that_count().filter(submission=submission)
    return counted.update(outcome=Outcome.SUPERSEDED) > 0


def _publish(submission: Submission, card: ScoreCard) -> None:
    best_before = mails.best_before(submission)
    publish_entry(
        phase=submission.phase,
        team=submission.team,
        submission_id=submission.pk,
        scores={
            key: score.to_json()
            for key, score in card.values_of(submission.phase.recipe.as_value()).items()
        },
        submitted_at=submission.created_at,
    )
    mails.tell_scored(submission, best_before=best_before)


def _discard(run: EvaluationRun, files: Sequence[Output]) -> None:
    """Remove pictures that no row refers to."""
    try:
        if Output.objects.filter(run=run).exists():
            return  # the answer to the commit was lost, not the commit
    except (DatabaseError, InterfaceError):
        log.warning("could not remove the pictures of run %s", run.pk, exc_info=True)
        return
    discard_pictures(files)


def _finish(run: EvaluationRun, outcome: Outcome) -> None:
    """Close a run, unless it has been closed: what the sweeper or a commit said stays."""
    run.outcome = outcome
    EvaluationRun.objects.filter(pk=run.pk, outcome=Outcome.RUNNING).update(
        outcome=outcome,
        finished_at=Now(),
        steps=run.steps,
        versions=run.versions,
        card=run.card,
        log=run.log,
    )
