"""The bytes of an upload: taken from the line to the disk, from there into the storage.

Every storage of Django's will do: a piece is an object of its own, and so is the file that they
make together. Nothing here holds more than a few blocks in memory.
"""

import errno
import hashlib
import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

from django.core.files.base import File
from django.core.files.storage import Storage
from django.core.files.uploadedfile import TemporaryUploadedFile
from django.http import UnreadablePostError
from django.utils.translation import gettext as _

from competitions.errors import DomainError, StorageFull, Unavailable
from styletransfer.sniff import HEAD_BYTES
from submissions.uploads.seen import TAIL_BYTES, Seen, look

BLOCK_BYTES = 1 << 16

Read = Callable[[int], bytes]
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextmanager
def explained() -> Iterator[None]:
    """Say of trouble with files whether there is no room or no storage.

    Raises:
        StorageFull, Unavailable: instead of an ``OSError``.
    """
    try:
        yield
    except OSError as error:
        raise explain(error) from error


def explain(error: OSError) -> DomainError:
    """Return what to answer where a file could not be stored."""
    if error.errno in _FULL:
        return StorageFull(
            "storage_full",
            _(
                "There is no room left on the site for this file. Nothing was charged. "
                "Tell the organizers, then try again later."
            ),
        )
    return Unavailable(
        "storage_unavailable",
        _("The file could not be stored. Nothing was charged: try again in a minute."),
    )


class Spool:
    """A temporary file that takes some of what a line brings."""

    def __init__(self, name: str) -> None:
        self.file = TemporaryUploadedFile(name, "application/octet-stream", 0, None)
        self.size = 0
        self.is_cut = False

    def fill(self, read: Read, size: int, *, on_block: Callable[[bytes], object]) -> None:
        """Take ``size`` bytes, or fewer if the line breaks: then ``is_cut``."""
        while self.size < size:
            try:
                block = read(min(BLOCK_BYTES, size - self.size))
            except UnreadablePostError:
                block = b""
            if not block:
                self.is_cut = True
                break
            self.file.write(block)
            self.size += len(block)
            on_block(block)
        self.file.size = self.size
        self.file.flush()

    def close(self) -> None:
        with suppress(OSError):  # on a full disk even closing fails; the file is gone all the same
            self.file.close()


class Joined(File[bytes]):
    """Pieces in their order as one file, which can be read once; notes what is read."""

    def __init__(
        self, names: Sequence[str], storage: Storage, *, on_block: Callable[[], object]
    ) -> None:
        super().__init__(None, name="joined")
        self._blocks = self._read_all(names, storage)
        self._rest = b""
        self._on_block = on_block
        self._digest = hashlib.sha256()
        self._length = 0
        self._head = self._tail = b""

    @staticmethod
    def _read_all(names: Sequence[str], storage: Storage) -> Iterator[bytes]:
        for name in names:
            with storage.open(name, "rb") as piece:
                while block := piece.read(BLOCK_BYTES):
                    yield block

    def read(self, size: int = -1) -> bytes:
        taken = io.BytesIO()
        missing = size if size >= 0 else None
        while missing is None or missing > 0:
            block = self._rest or next(self._blocks, b"")
            if not block:
                break
            if not self._rest:
                self._note(block)
            part = block if missing is None else block[:missing]
            self._rest = block[len(part) :]
            taken.write(part)
            missing = None if missing is None else missing - len(part)
        return taken.getvalue()

    def _note(self, block: bytes) -> None:
        self._digest.update(block)
        self._length += len(block)
        if len(self._head) < HEAD_BYTES:
            self._head = (self._head + block)[:HEAD_BYTES]
        self._tail = (self._tail + block)[-TAIL_BYTES:]
        self._on_block()

    def look(self) -> Seen:
        """Say what it is, once it has been read."""
        return look(self._head, self._length, self._tail, self._digest.hexdigest())

    @property
    def closed(self) -> bool:
        return False

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def close(self) -> None:
        """Leave the pieces alone: each is closed when it has been read."""

    def __bool__(self) -> bool:
        return True
