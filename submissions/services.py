"""What a participant can do with a submission."""

from typing import Any

from django.core.files.uploadedfile import UploadedFile
from django.db import IntegrityError, transaction
from django.db.models.functions import Now
from django.utils.timezone import now
from django.utils.translation import gettext as _
from pydantic import ValidationError

from competitions.errors import Conflict, Forbidden, Invalid
from competitions.models import Phase
from competitions.people import User
from competitions.policies import require_can_submit
from competitions.services import freeze_reference_set
from styletransfer.errors import CheckpointRejected
from styletransfer.manifest import Manifest
from submissions import dispatch, quota
from submissions.describing import (
    manifest_fields,
    require_format,
    require_new,
    undescribed_fields,
)
from submissions.failures import Failure
from submissions.manifest_texts import list_problems
from submissions.models import Submission, Upload
from submissions.states import Status
from submissions.uploads.beginning import require_fitting
from submissions.uploads.hold import over, require_not_used
from submissions.uploads.receiving import complete, receive_whole
from submissions.uploads.removal import give_up
from submissions.uploads.seen import look_at


def submit(
    *,
    by: User,
    phase: Phase,
    checkpoint: UploadedFile[bytes] | Upload,
    manifest: Any = None,
    hold: bool = False,
) -> Submission:
    """Enter a checkpoint and ask for its check once the row is really there.

    It is a file that came whole, or an upload whose bytes are all there. Where it can't be
    entered, the upload stays as it is and may be submitted again.

    Args:
        by: a member of the team.
        phase: an open one.
        checkpoint: the file.
        manifest: what describes it; None to have the check propose one.
        hold: whether it waits, after its check, for the team to look at its first picture.

    Raises:
        Forbidden: ``by`` has not joined, or the phase is closed.
        TooLarge, Invalid: the file or the manifest can't be used.
        Conflict: the team has sent this file with this manifest already.
        QuotaSpent: the team has no submission left for now.
        Locked: the upload is being written to.
        StorageFull, Unavailable: the file could not be stored.
    """
    team = require_can_submit(by, phase=phase, at=now())
    declared = None if manifest is None else read_manifest(manifest)
    submission = Submission(
        phase=phase,
        team=team,
        submitted_by=by,
        is_held=hold,
    )
    if isinstance(checkpoint, Upload):
        _require_of(checkpoint, by=by, phase=phase)
        complete(checkpoint)
        _describe(submission, checkpoint.found_format, _refusal_of(checkpoint), declared)
        return _enter(submission, checkpoint)
    require_fitting(checkpoint.size or 0, phase)
    seen = look_at(checkpoint)
    _describe(submission, seen.found_format, seen.refusal, declared)
    # Asked again under the lock; here, so that nothing is stored in vain.
    submission.sha256 = seen.sha256
    require_new(submission)
    if spent := quota.find_spent(quota.count(phase, team)):
        raise spent
    upload = receive_whole(checkpoint, seen, by=by, phase=phase)
    try:
        return _enter(submission, upload)
    except Exception:
        give_up(upload)  # not if the answer to the commit was lost, but not the commit
        raise


def _require_of(upload: Upload, *, by: User, phase: Phase) -> None:
    if upload.owner_id != by.pk or upload.phase_id != phase.pk:
        raise Invalid("unknown_upload", _("There is no such upload of yours for this phase."))


def _enter(submission: Submission, upload: Upload) -> Submission:
    """Let a submission take over an upload's file, in one transaction or not at all."""
    submission.file_name = upload.file_name
    submission.size_bytes = upload.length
    submission.sha256 = upload.sha256
    submission.checkpoint = str(upload.checkpoint.name)
    try:
        with transaction.atomic():
            # The lock comes first: of two equal uploads at once the second sees the first.
            quota.lock(submission.phase, submission.team)
            require_not_used(upload)
            require_new(submission)
            quota.require_left(submission.phase, submission.team)
            if submission.phase.reference_set.frozen_at is None:
                # In use from here on: what is scored against may not change any more.
                freeze_reference_set(submission.phase.reference_set)
            submission.save(force_insert=True)
            if not upload.use(submission):
                upload.refresh_from_db()
                raise over(upload)
            # Robust: once the row is there, no trouble with the message may undo the upload.
            # No partial: Django asks a robust callback that failed for its name.
            transaction.on_commit(
                lambda: dispatch.send(submission.pk, Status.CHECKING), robust=True
            )
    except IntegrityError:
        require_new(submission)
        raise
    return submission


def read_manifest(manifest: Any) -> Manifest:
    """Return the checked manifest.

    Raises:
        Invalid: it does not fit; facts: ``errors``, a list of ``{"field", "detail"}``.
    """
    try:
        if isinstance(manifest, str | bytes):
            return Manifest.model_validate_json(manifest)
        return Manifest.model_validate(manifest)
    except ValidationError as error:
        unknown = [each for each in error.errors() if each["type"] == "unknown_architecture"]
        if unknown:
            code, name = "unknown_architecture", unknown[0]["ctx"]["name"]
            failure = Failure(code, {"architecture": name})
            raise Invalid(code, failure.detail, **failure.more) from error
        problems = list_problems(error)
        text = _("The manifest can't be used: %(detail)s")
        if problems[0]["field"]:
            text = _("The manifest can't be used. %(field)s: %(detail)s")
        raise Invalid("bad_manifest", text % problems[0], errors=problems) from error


def _describe(
    submission: Submission,
    found: str,
    refusal: CheckpointRejected | None,
    declared: Manifest | None,
) -> None:
    """Give a submission its manifest, or what its file alone says."""
    if refusal is not None:
        failure = Failure(refusal.code, refusal.facts)
        raise Invalid(failure.code, failure.detail, **failure.more) from refusal
    if declared is not None:
        require_format(declared, found)
    fields = undescribed_fields(found) if declared is None else manifest_fields(declared)
    for name, value in fields.items():
        setattr(submission, name, value)


def _refusal_of(upload: Upload) -> CheckpointRejected | None:
    if not upload.refusal_code:
        return None
    return CheckpointRejected(upload.refusal_code, **upload.refusal_facts)


def cancel(submission: Submission, *, by: User) -> None:
    """Stop a submission; a worker that runs it notices within seconds.

    One that was being scored again keeps the scores that it had.

    Raises:
        Forbidden: ``by`` is neither of the team nor an organizer.
        Conflict: it has ended already.
    """
    if not Submission.objects.manageable_by(by).filter(pk=submission.pk).exists():
        raise Forbidden(
            "not_your_submission", _("Only your own team's submissions can be cancelled.")
        )
    for _attempt in range(3):  # it may be claimed between reading and writing
        submission.refresh_from_db()
        if submission.scored_at is not None and _keeps_scores(submission):
            return
        if submission.move(
            Status.CANCELLED,
            finished_at=Now(),
            failure_code="",
            failure_facts={},
            not_before=None,
        ):
            return
    raise Conflict(
        "already_ended",
        _("This submission has ended: there is nothing left to cancel."),
        status=submission.status,
    )


def _keeps_scores(submission: Submission) -> bool:
    try:
        with transaction.atomic():
            return submission.keep_scores()
    except IntegrityError:  # the team has sent the same file again: that one counts
        return False
