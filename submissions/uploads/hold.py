"""The right to write to an upload: one writer at a time, on whatever hosts."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

from django.db import DatabaseError, InterfaceError
from django.utils.timezone import now
from django.utils.translation import gettext as _

from competitions.errors import Conflict, DomainError, Locked
from submissions.models import Piece, Upload, UploadStatus
from submissions.uploads.beginning import gone
from submissions.uploads.removal import remove_pending

log = logging.getLogger(__name__)

# A server may never hear that a line is dead: who comes back on another must not wait long.
HOLD = timedelta(seconds=6)
RENEW_EVERY_S = 2.0
# Storing what has come in gives no sign of life on the way.
STORING_HOLD = timedelta(seconds=90)


class Hold:
    """The right to write to an upload, renewed while bytes come in."""

    def __init__(self, upload: Upload) -> None:
        self.upload = upload
        self._token = uuid4()
        self._renewed_at = time.monotonic()

    def __enter__(self) -> Self:
        if not self.upload.take_hold(self._token, lasting=HOLD):
            self.upload.refresh_from_db()
            if self.upload.status != UploadStatus.RECEIVING:
                raise over(self.upload)
            raise Locked(
                "upload_locked",
                _("Something else is being written to this upload. Try again in a moment."),
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.change(holder=None, held_until=None)
        except (DatabaseError, InterfaceError):  # it runs out by itself
            log.warning("could not let go of upload %s", self.upload.pk, exc_info=True)

    def renew(self, lasting: timedelta = HOLD) -> None:
        """Keep the hold where it is time to.

        Raises:
            Conflict: another writer has it, or it is over.
        """
        if time.monotonic() - self._renewed_at > RENEW_EVERY_S:
            self.require(self.change(held_until=now() + lasting))
            self._renewed_at = time.monotonic()

    def change(self, **changes: Any) -> bool:
        return self.upload.change_held(self._token, **changes)

    @staticmethod
    def require(is_held: bool) -> None:
        if not is_held:
            raise Conflict(
                "upload_lost",
                _("The upload went on elsewhere meanwhile. Ask how far it is, then go on."),
            )

    @contextmanager
    def storing(self, name: str, *, offset: int) -> Iterator[Piece]:
        """Note an object before it is stored; remove it again unless what follows succeeds."""
        self.require(self.change(held_until=now() + STORING_HOLD))
        piece = Piece.objects.create(upload=self.upload, name=name, offset=offset)
        try:
            yield piece
        except BaseException:
            remove_pending(piece)
            raise


def over(upload: Upload) -> DomainError:
    if upload.status == UploadStatus.GONE:
        return gone()
    if (submission := upload.submission) is not None:
        return Conflict(
            "upload_used",
            _("This upload has been submitted already."),
            submission=str(submission.pk),
            url=submission.get_absolute_url(),
        )
    return Conflict("upload_complete", _("All of this file is here already. Submit it."))


def require_not_used(upload: Upload) -> None:
    """Refuse an upload that a submission has taken over, whatever else there is against it."""
    upload.refresh_from_db()
    if upload.status in (UploadStatus.USED, UploadStatus.GONE):
        raise over(upload)
