"""What can be told of a file without building the network in it."""

import hashlib
from dataclasses import dataclass

from django.core.files.uploadedfile import UploadedFile

from styletransfer.errors import CheckpointRejected
from styletransfer.sniff import HEAD_BYTES, sniff

TAIL_BYTES = 1 << 16


@dataclass(frozen=True)
class Seen:
    sha256: str
    length: int
    found_format: str = ""
    refusal: CheckpointRejected | None = None


def look(head: bytes, length: int, tail: bytes, sha256: str) -> Seen:
    try:
        return Seen(sha256, length, found_format=sniff(head, length, tail))
    except CheckpointRejected as error:
        return Seen(sha256, length, refusal=error)


def look_at(file: UploadedFile[bytes]) -> Seen:
    """Read a file that arrived whole."""
    digest = hashlib.sha256()
    head = tail = b""
    length = 0
    for chunk in file.chunks():
        head = head or chunk[:HEAD_BYTES]
        tail = (tail + chunk[-TAIL_BYTES:])[-TAIL_BYTES:]
        digest.update(chunk)
        length += len(chunk)
    return look(head, length, tail, digest.hexdigest())
