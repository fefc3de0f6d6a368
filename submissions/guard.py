"""Receiving a checkpoint from a browser: what can be refused early never reaches the disk."""

from typing import Any

from django.core.files.uploadedfile import UploadedFile
from django.core.files.uploadhandler import FileUploadHandler, SkipFile
from django.http import HttpRequest


class Guard(FileUploadHandler):
    """Goes before the handler that stores files, and lets no more than ``limit`` bytes through.

    What is beyond it is read and thrown away: a browser that sent a file too large then still
    gets a page that says so, with everything else that was filled in.
    """

    def __init__(self, request: HttpRequest, *, limit: int) -> None:
        super().__init__(request)
        self._limit = limit
        self._received = 0
        self.has_stopped = False

    def new_file(self, *args: Any, **options: Any) -> None:
        super().new_file(*args, **options)
        if self.has_stopped or self._limit <= 0:
            self._stop()

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes:
        self._received += len(raw_data)  # of all files together
        if self._received > self._limit:
            self._stop()
        return raw_data

    def file_complete(self, file_size: int) -> UploadedFile[bytes] | None:
        return None  # left to the next handler

    def _stop(self) -> None:
        self.has_stopped = True
        raise SkipFile
