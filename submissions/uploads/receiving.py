"""Receiving files: piece by piece, or whole; and everything that is stored has a row."""

import errno
import hashlib
import os
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from uuid import uuid4

from django.conf import settings
from django.core.files.base import File
from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from django.utils.timezone import now
from django.utils.translation import gettext as _

from competitions.errors import ChecksumMismatch, Conflict, Invalid, TooLarge
from competitions.models import Phase
from competitions.people import User
from submissions.labels import make_label
from submissions.models import Piece, Upload, UploadStatus
from submissions.uploads.hold import HOLD, STORING_HOLD, Hold
from submissions.uploads.pieces import Joined, Read, Spool, explained
from submissions.uploads.removal import folder_of, give_up, remove_pieces, storage
from submissions.uploads.seen import Seen

PIECE_BYTES = 8 << 20
# Enough for a gigabyte over a bad line; without a limit one byte at a time would fill the table.
MOST_PIECES = 4000
# What is stored whole is submitted in the same request, or never.
WHOLE_EXPIRES_AFTER = timedelta(hours=1)


class Checksum:
    """What the sender says a request's bytes hash to."""

    ALGORITHMS = ("sha256", "sha1")

    def __init__(self, algorithm: str, expected: bytes) -> None:
        self._digest = hashlib.new(algorithm, usedforsecurity=False)
        self._expected = expected

    def update(self, block: bytes) -> None:
        self._digest.update(block)

    def require_match(self) -> None:
        if self._digest.digest() != self._expected:
            raise ChecksumMismatch(
                "checksum_mismatch",
                _("What arrived is not what was sent: the checksums differ. Send it again."),
            )


def write(
    upload: Upload, read: Read, *, offset: int, size: int, checksum: Checksum | None = None
) -> None:
    """Add ``size`` bytes from a line at ``offset``; what comes before the line breaks is kept.

    Raises:
        Locked: somebody else is writing.
        Conflict: there are fewer or more bytes than ``offset``; or it is over.
        TooLarge: that would be more than was announced.
        ChecksumMismatch: the bytes are not those that were sent; none of them is kept.
        Interrupted: the line broke.
        StorageFull, Unavailable: they could not be stored.
    """
    with Hold(upload) as hold:
        if offset != upload.offset:
            raise Conflict(
                "offset_mismatch",
                _("%(there)d bytes are here: go on from there.") % {"there": upload.offset},
                offset=upload.offset,
            )
        if offset + size > upload.length:
            raise TooLarge(
                "beyond_length",
                _("The file was announced with %(length)d bytes; this is more.")
                % {"length": upload.length},
                length=upload.length,
            )
        end = offset + size
        while upload.offset < end:
            missing = end - upload.offset
            _add_piece(hold, read, missing if checksum else min(PIECE_BYTES, missing), checksum)


def _add_piece(hold: Hold, read: Read, size: int, checksum: Checksum | None) -> None:
    upload, offset = hold.upload, hold.upload.offset
    if upload.pieces.count() >= MOST_PIECES:
        raise TooLarge("too_many_pieces", _("The file came in too many pieces. Start it anew."))
    with explained():
        spool = Spool("piece")
    try:
        with explained():
            spool.fill(read, size, on_block=_noting(hold, checksum))
        if checksum is not None:
            checksum.require_match()  # nor does it match where the line broke
        if spool.size:
            name = f"{folder_of(upload)}/{offset:012d}-{uuid4().hex[:8]}"
            with hold.storing(name, offset=offset) as piece:
                save(name, spool.file, spool.size)
                _count_in(hold, piece, spool.size)
    finally:
        spool.close()
    if spool.is_cut:
        raise Invalid("upload_interrupted", _("The upload broke off: go on from where it is."))


def _noting(hold: Hold, checksum: Checksum | None) -> Callable[[bytes], None]:
    def note(block: bytes) -> None:
        if checksum is not None:
            checksum.update(block)
        hold.renew()

    return note


@transaction.atomic
def _count_in(hold: Hold, piece: Piece, size: int) -> None:
    """Count a piece that is stored, if it is still this writer's turn."""
    piece.size = size
    piece.save(update_fields=["size"])
    end = piece.offset + size
    expires_at = now() + settings.UPLOAD_EXPIRES_AFTER
    hold.require(hold.change(offset=end, held_until=now() + HOLD, expires_at=expires_at))


def complete(upload: Upload) -> None:
    """Put the pieces together and look at the file; nothing happens if that has been done.

    Raises:
        Conflict: bytes are missing.
        Locked: another process is at it.
        ChecksumMismatch: it is not the file that was announced; the upload is given up.
        StorageFull, Unavailable: it could not be stored; it can be tried again.
    """
    if upload.status in (UploadStatus.COMPLETE, UploadStatus.USED):
        return
    if upload.offset < upload.length:
        raise Conflict(
            "upload_unfinished",
            _("%(there)d of %(length)d bytes are here: send the rest first.")
            % {"there": upload.offset, "length": upload.length},
            offset=upload.offset,
        )
    pieces = list(upload.pieces.filter(size__isnull=False).order_by("offset"))
    try:
        with Hold(upload) as hold:
            joined = Joined(
                [each.name for each in pieces],
                storage(),
                on_block=partial(hold.renew, STORING_HOLD),
            )
            _store(hold, joined, joined.look)
    except Conflict as error:
        if error.code != "upload_complete":  # another process has done it in this moment
            raise
    except ChecksumMismatch:
        give_up(upload)
        raise
    remove_pieces(upload)


def receive_whole(file: UploadedFile[bytes], seen: Seen, *, by: User, phase: Phase) -> Upload:
    """Store a file that came in one request, as if it had come in pieces.

    Raises:
        StorageFull, Unavailable: it could not be stored; nothing is left of it.
    """
    upload = Upload.objects.create(
        owner=by,
        phase=phase,
        file_name=make_label(file.name),
        length=seen.length,
        expires_at=now() + WHOLE_EXPIRES_AFTER,
    )
    try:
        with Hold(upload) as hold:
            _store(hold, file, lambda: seen)
    except Exception:
        give_up(upload)
        raise
    return upload


def save(name: str, content: File[bytes], size: int) -> None:
    """Store an object, whole or not at all.

    Raises:
        StorageFull, Unavailable: it can't be stored.
    """
    with explained():
        storage().save(name, content)
        # Moved to another disk that fills up, a file can end early without anybody noticing.
        if storage().size(name) < size:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), name)


def _store(hold: Hold, content: File[bytes], see: Callable[[], Seen]) -> None:
    """Store the checkpoint where a submission will have it."""
    upload = hold.upload
    name = Upload.checkpoint.field.generate_filename(upload, f"{upload.pk}-{uuid4().hex[:8]}.bin")
    with hold.storing(name, offset=0) as piece:
        save(name, content, upload.length)
        seen = see()
        if seen.length != upload.length or upload.expected_sha256 not in {"", seen.sha256}:
            raise ChecksumMismatch(
                "hash_mismatch",
                _("The file that arrived is not the one that was announced. Send it anew."),
                expected=upload.expected_sha256,
                found=seen.sha256,
            )
        with transaction.atomic():
            piece.delete()  # from here on the row of the upload names the object
            hold.require(
                hold.change(
                    status=UploadStatus.COMPLETE,
                    offset=upload.length,
                    checkpoint=name,
                    sha256=seen.sha256,
                    found_format=seen.found_format,
                    refusal_code=seen.refusal.code if seen.refusal else "",
                    refusal_facts=seen.refusal.facts if seen.refusal else {},
                    holder=None,
                    held_until=None,
                )
            )
