"""Removing what uploads have stored; what can't be removed now, the sweeper removes."""

import logging
from collections.abc import Sequence
from datetime import timedelta

from django.core.files.storage import Storage
from django.db import DatabaseError, InterfaceError
from django.utils.timezone import now

from submissions.models import Piece, Upload, UploadStatus

log = logging.getLogger(__name__)

SWEPT_AT_ONCE = 20
REST = timedelta(minutes=1)
# So long an upload that was submitted or has expired says so, and is not just unknown.
REMEMBERED_FOR = timedelta(days=7)


def give_up(upload: Upload) -> bool:
    """Remove an upload and its bytes; return False if a submission has them."""
    try:
        if not upload.give_up():
            return False
        remove_bytes(upload)
    except (DatabaseError, InterfaceError):
        log.warning("could not give up upload %s", upload.pk, exc_info=True)
    return True


def remove_bytes(upload: Upload) -> bool:
    """Remove whatever an upload that is gone has stored; return False if something stays."""
    if upload.checkpoint:
        try:
            upload.checkpoint.storage.delete(str(upload.checkpoint.name))
        except OSError:
            log.warning("could not remove %s", upload.checkpoint.name, exc_info=True)
            return False
        Upload.objects.filter(pk=upload.pk, status=UploadStatus.GONE).update(checkpoint="")
    return remove_pieces(upload)


def remove_pieces(upload: Upload) -> bool:
    if not remove_objects(list(upload.pieces.all())):
        return False
    try:
        storage().delete(folder_of(upload))  # where there are folders
    except OSError:
        log.debug("%s holds something", folder_of(upload), exc_info=True)
    return True


def remove_pending(piece: Piece) -> None:
    """Remove a piece that came to nothing; one that counts stays, though its writer broke off."""
    try:
        if Piece.objects.filter(pk=piece.pk, size__isnull=True).exists():
            remove_objects([piece])
    except (DatabaseError, InterfaceError):  # the answer to a commit may be lost, not the commit
        log.warning("could not remove %s", piece.name, exc_info=True)


def remove_objects(pieces: Sequence[Piece]) -> bool:
    """Remove stored objects and their rows; the rows of those that stay, stay too."""
    try:
        for piece in pieces:
            storage().delete(piece.name)
            Piece.objects.filter(pk=piece.pk).delete()
    except (OSError, DatabaseError, InterfaceError):
        log.warning("could not remove pieces of uploads", exc_info=True)
        return False
    return True


def folder_of(upload: Upload) -> str:
    return f"parts/{upload.pk}"


def storage() -> Storage:
    """Return where checkpoints lie, and their pieces."""
    found: Storage = Upload.checkpoint.field.storage
    return found


# --- What the sweeper does ------------------------------------------------------------------------
def sweep_uploads() -> None:
    """Give up what has expired, and remove what those who should have done it left behind."""
    for upload in Upload.objects.unused().filter(expires_at__lt=now())[:SWEPT_AT_ONCE]:
        give_up(upload)
    # A minute's rest: whoever ended an upload is removing its bytes in this moment.
    resting = Upload.objects.filter(touched_at__lt=now() - REST)
    for upload in resting.with_leftovers()[:SWEPT_AT_ONCE]:
        is_gone = upload.status == UploadStatus.GONE
        if not (remove_bytes(upload) if is_gone else remove_pieces(upload)):
            upload.touch()  # so that the others get their turn
            break  # nor would the next: the storage is away
    remembered = Upload.objects.filter(touched_at__lt=now() - REMEMBERED_FOR)
    remembered.ended().filter(pieces__isnull=True).delete()
