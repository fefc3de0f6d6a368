"""The manifest of a submission: given, proposed by its check, or changed by its team."""

import hashlib
import json
from datetime import timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.utils.timezone import now
from django.utils.translation import gettext as _

from competitions.errors import Conflict, Forbidden, Invalid
from competitions.people import User
from competitions.policies import require_can_submit, team_of
from styletransfer.manifest import Manifest
from submissions import dispatch, quota
from submissions.failures import Failure
from submissions.models import Submission
from submissions.states import MAY_BE_SENT_AGAIN, Status

# A team that does not come back to look at its first picture: then it queues all the same.
HOLD_FOR = timedelta(minutes=15)


def manifest_fields(manifest: Manifest) -> dict[str, Any]:
    """Return what a submission stores of a manifest."""
    described = manifest.canonical_json()
    return {"manifest": json.loads(described), "manifest_sha256": _digest(described)}


def undescribed_fields(file_format: str) -> dict[str, Any]:
    """Return what a submission stores until its check has read the manifest from the file."""
    manifest = {"format": file_format}
    return {"manifest": manifest, "manifest_sha256": _digest(json.dumps(manifest))}


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def require_format(manifest: Manifest, found: str) -> None:
    """Make sure that a manifest is about a file of its kind.

    Raises:
        Invalid: it is not.
    """
    if manifest.format != found:
        failure = Failure("format_mismatch", {"expected": manifest.format, "found": found})
        raise Invalid(failure.code, failure.detail)


def require_new(submission: Submission) -> None:
    """Refuse a file that the team has sent to this phase with the same manifest.

    A file without a manifest is the same as one that was described as it had been proposed.

    Raises:
        Conflict: with the earlier submission's id in its facts.
    """
    sent = Submission.objects.filter(
        phase=submission.phase, team=submission.team, sha256=submission.sha256
    ).exclude(status__in=MAY_BE_SENT_AGAIN)
    for earlier in sent.exclude(pk=submission.pk):
        is_as_proposed = earlier.proposal and earlier.proposal["manifest"] == earlier.manifest
        if earlier.manifest_sha256 == submission.manifest_sha256 or (
            is_as_proposed and not submission.is_described
        ):
            raise Conflict(
                "duplicate",
                _("Your team has submitted this file with this manifest already."),
                submission=str(earlier.pk),
                url=earlier.get_absolute_url(),
            )


def change_manifest(
    submission: Submission, manifest: Manifest, *, by: User, hold: bool = True
) -> None:
    """Have the same file checked again by another manifest; nothing is uploaded or charged anew.

    One that was rejected takes its place among the team's submissions again, if there is room.

    Raises:
        Forbidden: ``by`` is not of its team, or the phase is closed.
        Invalid: the manifest is about another kind of file.
        Conflict: it runs or has ended, or the team has sent the file with this manifest already.
        QuotaSpent: it was rejected, and the team has no submission left for now.
    """
    require_own(submission, by)
    require_format(manifest, submission.manifest["format"])
    fields: dict[str, Any] = {**manifest_fields(manifest), "is_held": hold}
    for _attempt in range(3):  # a worker may take it, or end it, between reading and writing
        submission.refresh_from_db()
        if not submission.is_changeable:
            break
        if submission.manifest_sha256 == fields["manifest_sha256"]:
            raise Conflict("unchanged", _("It has this manifest already."))
        try:
            with transaction.atomic():
                if _check_again(submission, fields, by=by):
                    return
        except IntegrityError:  # an equal one came in this moment
            submission.refresh_from_db()
            continue
    raise _too_late(submission)


def _check_again(submission: Submission, fields: dict[str, Any], *, by: User) -> bool:
    quota.lock(submission.phase, submission.team)
    changes = dict(fields)
    if submission.status == Status.REJECTED:
        require_can_submit(by, phase=submission.phase, at=now())
        quota.require_left(submission.phase, submission.team)
        changes["created_at"] = now()  # it counts from now on
    described = Submission(
        pk=submission.pk,
        phase=submission.phase,
        team=submission.team,
        sha256=submission.sha256,
        **{name: fields[name] for name in ("manifest", "manifest_sha256")},
    )
    require_new(described)
    moved = submission.check_again(**changes)
    if moved:
        pk = submission.pk
        transaction.on_commit(lambda: dispatch.send(pk, Status.CHECKING), robust=True)
    return moved


def release(submission: Submission, *, by: User) -> None:
    """Let a submission queue whose first picture the team has looked at.

    Raises:
        Forbidden: ``by`` is not of its team.
        Conflict: it was not waiting for that.
    """
    require_own(submission, by)
    with transaction.atomic():
        if submission.release():
            pk = submission.pk
            transaction.on_commit(lambda: dispatch.send(pk, Status.QUEUED), robust=True)
            return
    raise Conflict("not_held", _("This submission does not wait for anybody's go-ahead."))


def require_own(submission: Submission, by: User) -> None:
    """Make sure that ``by`` may change it.

    Raises:
        Forbidden: they are not of its team.
    """
    if team_of(by, submission.phase.competition) != submission.team:
        raise Forbidden(
            "not_your_submission", _("Only your own team's submissions can be changed.")
        )


def _too_late(submission: Submission) -> Conflict:
    return Conflict(
        "not_changeable",
        _("It is being scored or has ended: its manifest can't be changed any more."),
        status=submission.status,
    )
