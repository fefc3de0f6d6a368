"""What a participant can do with a submission."""

import hashlib
import json
from typing import Any

from django.core.files.uploadedfile import UploadedFile
from django.db import IntegrityError, transaction
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
from submissions.failures import Failure
from submissions.manifest_texts import list_problems
from submissions.models import Submission, Upload
from submissions.states import MAY_BE_SENT_AGAIN, Status
from submissions.uploads.beginning import require_fitting
from submissions.uploads.hold import over, require_not_used
from submissions.uploads.receiving import complete, receive_whole
from submissions.uploads.removal import give_up
from submissions.uploads.seen import look_at


def submit(
    *, by: User, phase: Phase, checkpoint: UploadedFile[bytes] | Upload, manifest: Any
) -> Submission:
    """Enter a checkpoint and ask for its check once the row is really there.

    It is a file that came whole, or an upload whose bytes are all there. Where it can't be
    entered, the upload stays as it is and may be submitted again.

    Raises:
        Forbidden: ``by`` has not joined, or the phase is closed.
        TooLarge, Invalid: the file or the manifest can't be used.
        Conflict: the team has sent this file with this manifest already.
        QuotaSpent: the team has no submission left for now.
        Locked: the upload is being written to.
        StorageFull, Unavailable: the file could not be stored.
    """
    team = require_can_submit(by, phase=phase, at=now())
    declared = read_manifest(manifest)
    described = declared.canonical_json()
    submission = Submission(
        phase=phase,
        team=team,
        submitted_by=by,
        manifest=json.loads(described),
        manifest_sha256=hashlib.sha256(described.encode()).hexdigest(),
    )
    if isinstance(checkpoint, Upload):
        _require_of(checkpoint, by=by, phase=phase)
        complete(checkpoint)
        _require_format(checkpoint.found_format, _refusal_of(checkpoint), declared)
        return _enter(submission, checkpoint)
    require_fitting(checkpoint.size or 0, phase)
    seen = look_at(checkpoint)
    _require_format(seen.found_format, seen.refusal, declared)
    # Asked again under the lock; here, so that nothing is stored in vain.
    submission.sha256 = seen.sha256
    require_not_sent_before(submission)
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
            require_not_sent_before(submission)
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
        require_not_sent_before(submission)
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
            raise Invalid(code, Failure(code, {"architecture": name}).detail) from error
        problems = list_problems(error)
        text = _("The manifest can't be used: %(detail)s")
        if problems[0]["field"]:
            text = _("The manifest can't be used. %(field)s: %(detail)s")
        raise Invalid("bad_manifest", text % problems[0], errors=problems) from error


def _require_format(found: str, refusal: CheckpointRejected | None, declared: Manifest) -> None:
    if refusal is None and found != declared.format:
        refusal = CheckpointRejected("format_mismatch", expected=declared.format, found=found)
    if refusal is not None:
        raise Invalid(refusal.code, Failure(refusal.code, refusal.facts).detail) from refusal


def _refusal_of(upload: Upload) -> CheckpointRejected | None:
    if not upload.refusal_code:
        return None
    return CheckpointRejected(upload.refusal_code, **upload.refusal_facts)


def require_not_sent_before(submission: Submission) -> None:
    """Refuse a file that the team has sent to this phase with the same manifest.

    Raises:
        Conflict: with the earlier submission's id in its facts.
    """
    earlier = (
        Submission.objects.filter(
            phase=submission.phase,
            team=submission.team,
            sha256=submission.sha256,
            manifest_sha256=submission.manifest_sha256,
        )
        .exclude(status__in=MAY_BE_SENT_AGAIN)
        .first()
    )
    if earlier is not None:
        raise Conflict(
            "duplicate",
            _("Your team has submitted this file with this manifest already."),
            submission=str(earlier.pk),
            url=earlier.get_absolute_url(),
        )


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
            finished_at=now(),
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
