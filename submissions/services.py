"""What a participant can do with a submission."""

import hashlib
import json
import logging
import unicodedata
from typing import Any

from django.core.files.uploadedfile import UploadedFile
from django.db import DatabaseError, IntegrityError, InterfaceError, transaction
from django.utils.timezone import now
from django.utils.translation import gettext as _
from pydantic import ValidationError

from competitions.errors import Conflict, Forbidden, Invalid, TooLarge, Unavailable
from competitions.models import Phase
from competitions.people import User
from competitions.policies import require_can_submit
from competitions.services import freeze_reference_set
from styletransfer.errors import CheckpointRejected
from styletransfer.manifest import Manifest
from styletransfer.sniff import HEAD_BYTES, sniff
from submissions import dispatch, quota
from submissions.failures import Failure
from submissions.manifest_texts import list_problems
from submissions.models import Submission
from submissions.states import MAY_BE_SENT_AGAIN, Status

log = logging.getLogger(__name__)

Upload = UploadedFile[bytes]

TAIL_BYTES = 1 << 16


def submit(*, by: User, phase: Phase, checkpoint: Upload, manifest: Any) -> Submission:
    """Enter a checkpoint and ask for its check once the row is really there.

    Raises:
        Forbidden: ``by`` has not joined, or the phase is closed.
        TooLarge, Invalid: the file or the manifest can't be used.
        Conflict: the team has sent this file with this manifest already.
        QuotaSpent: the team has no submission left for now.
        Unavailable: the file could not be stored.
    """
    team = require_can_submit(by, phase=phase, at=now())
    declared = read_manifest(manifest)
    sha256 = inspect_file(checkpoint, phase=phase, declared=declared)
    described = declared.canonical_json()
    submission = Submission(
        phase=phase,
        team=team,
        submitted_by=by,
        file_name=make_label(checkpoint.name),
        size_bytes=checkpoint.size or 0,
        sha256=sha256,
        manifest=json.loads(described),
        manifest_sha256=hashlib.sha256(described.encode()).hexdigest(),
    )
    return _enter(submission, checkpoint)


def _enter(submission: Submission, checkpoint: Upload) -> Submission:
    # Named here, so that it can be removed even if storing it breaks off half-way.
    name = f"{submission.pk}.bin"
    stored = Submission.checkpoint.field.generate_filename(submission, name)
    try:
        with transaction.atomic():
            # The lock comes first: of two equal uploads at once the second sees the first.
            quota.lock(submission.phase, submission.team)
            require_not_sent_before(submission)
            quota.require_left(submission.phase, submission.team)
            if submission.phase.reference_set.frozen_at is None:
                # In use from here on: what is scored against may not change any more.
                freeze_reference_set(submission.phase.reference_set)
            submission.checkpoint.save(name, checkpoint, save=False)
            submission.save(force_insert=True)
            # Robust: once the row is there, no trouble with the message may undo the upload.
            # No partial: Django asks a robust callback that failed for its name.
            transaction.on_commit(
                lambda: dispatch.send(submission.pk, Status.CHECKING), robust=True
            )
    except OSError as error:
        _discard(submission, stored)
        raise Unavailable(
            "storage_unavailable",
            _("The file could not be stored. Nothing was charged: try again in a minute."),
        ) from error
    except IntegrityError:
        _discard(submission, stored)
        require_not_sent_before(submission)
        raise
    except Exception:
        _discard(submission, stored)
        raise
    return submission


def _discard(submission: Submission, stored: str) -> None:
    try:
        if Submission.objects.filter(pk=submission.pk).exists():
            return  # the answer to the commit was lost, not the commit
        submission.checkpoint.storage.delete(stored)
    except (OSError, DatabaseError, InterfaceError):
        log.warning("could not remove %s, which no submission refers to", stored, exc_info=True)


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


def inspect_file(checkpoint: Upload, *, phase: Phase, declared: Manifest) -> str:
    """Return the file's SHA-256 after what can be seen without building the network in it."""
    size = checkpoint.size or 0
    if size > phase.max_checkpoint_bytes:
        raise TooLarge(
            "too_large",
            _("The file has %(size)d bytes; this phase takes at most %(limit)d.")
            % {"size": size, "limit": phase.max_checkpoint_bytes},
            limit=phase.max_checkpoint_bytes,
            size=size,
        )
    digest = hashlib.sha256()
    head = tail = b""
    for chunk in checkpoint.chunks():
        head = head or chunk[:HEAD_BYTES]
        tail = (tail + chunk[-TAIL_BYTES:])[-TAIL_BYTES:]
        digest.update(chunk)
    try:
        found = sniff(head, size, tail)
        if found != declared.format:
            raise CheckpointRejected("format_mismatch", expected=declared.format, found=found)
    except CheckpointRejected as error:
        raise Invalid(error.code, Failure(error.code, error.facts).detail) from error
    return digest.hexdigest()


def make_label(name: str | None) -> str:
    """Return a file name fit to be shown: one line, no control characters, at most 100."""
    text = unicodedata.normalize("NFC", (name or "").replace("\\", "/").rsplit("/", 1)[-1])
    # Cc control, Cf format (right-to-left overrides hide an extension), Cs lone surrogates.
    kept = (char for char in text if unicodedata.category(char) not in {"Cc", "Cf", "Cs"})
    return "".join(kept).strip()[:100] or _("unnamed")


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
