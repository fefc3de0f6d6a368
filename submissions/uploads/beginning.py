"""Who may begin an upload, and how much may be under way."""

from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import transaction
from django.utils.timezone import now
from django.utils.translation import gettext as _

from competitions.errors import Gone, Invalid, TooLarge, TooMany
from competitions.models import Phase
from competitions.people import User
from competitions.policies import require_can_submit
from submissions import quota
from submissions.failures import Failure
from submissions.labels import make_label
from submissions.models import Upload, UploadStatus

# What nobody has written to for so long makes room for another upload of the same user.
IDLE = timedelta(hours=1)


def begin(
    *, by: User, phase: Phase, file_name: str, length: int, expected_sha256: str = ""
) -> Upload:
    """Begin an upload; what can be refused before a byte is sent is refused here.

    Raises:
        Forbidden: ``by`` has not joined, or the phase is closed.
        Invalid, TooLarge: no file of this length can be submitted.
        QuotaSpent: the team has no submission left for now.
        TooMany: ``by`` has too much under way.
    """
    team = require_can_submit(by, phase=phase, at=now())
    require_fitting(length, phase)
    if spent := quota.find_spent(quota.count(phase, team)):
        raise spent
    with transaction.atomic():
        # Nobody else counts for the same user meanwhile; on SQLite, nobody else writes.
        get_user_model().objects.select_for_update().get(pk=by.pk)
        _make_room(by, length)
        return Upload.objects.create(
            owner=by,
            phase=phase,
            file_name=make_label(file_name),
            length=length,
            expected_sha256=expected_sha256,
            expires_at=now() + settings.UPLOAD_EXPIRES_AFTER,
        )


def require_fitting(length: int, phase: Phase) -> None:
    """Refuse a file by its length.

    Raises:
        Invalid, TooLarge: it is empty, or larger than the phase takes.
    """
    if length == 0:
        raise Invalid("empty_file", Failure("empty_file", {}).detail)
    if length > phase.max_checkpoint_bytes:
        raise TooLarge(
            "too_large",
            _("The file has %(size)d bytes; this phase takes at most %(limit)d.")
            % {"size": length, "limit": phase.max_checkpoint_bytes},
            limit=phase.max_checkpoint_bytes,
            size=length,
        )


def _make_room(user: User, length: int) -> None:
    unused = list(Upload.objects.of(user).unused().order_by("touched_at"))
    while unused and unused[0].touched_at < now() - IDLE and _is_crowded(unused, length):
        unused.pop(0).give_up()  # the sweeper removes its bytes
    if not _is_crowded(unused, length):
        return
    raise TooMany(
        "too_many_uploads",
        _(
            "You have %(count)d uploads under way. Finish or delete one of them; "
            "one that rests for an hour makes room by itself."
        )
        % {"count": len(unused)},
        limit=settings.UPLOADS_AT_ONCE,
        limit_bytes=settings.UPLOAD_BYTES_AT_ONCE,
        used=len(unused),
        used_bytes=sum(each.length for each in unused),
        wait_s=60,
    )


def _is_crowded(unused: list[Upload], length: int) -> bool:
    if not unused:
        return False  # a phase that takes larger files than the limit takes one at a time
    total = sum(each.length for each in unused) + length
    return len(unused) >= settings.UPLOADS_AT_ONCE or total > settings.UPLOAD_BYTES_AT_ONCE


def find(user: User, upload_id: UUID) -> Upload:
    """Return an upload of ``user``.

    Raises:
        Upload.DoesNotExist: there is none, or it is somebody else's.
        Gone: it has expired or was given up.
    """
    upload = Upload.objects.of(user).select_related("phase__competition").get(pk=upload_id)
    if upload.status == UploadStatus.GONE or _has_expired(upload):
        raise gone()
    return upload


def gone() -> Gone:
    return Gone("upload_gone", _("This upload has expired or was given up. Start it anew."))


def _has_expired(upload: Upload) -> bool:
    return upload.status != UploadStatus.USED and upload.expires_at < now()
