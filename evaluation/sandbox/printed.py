"""What is printed inside a sandbox: the last of it is kept, for the owner and nobody else."""

from __future__ import annotations

import threading

from evaluation.sandbox.protocol import clean_text

_KEPT_BYTES = 1 << 16
_READ_BYTES = 1 << 16
_SHOWN_LINES, _SHOWN_CHARACTERS = 200, 4_000
_LINE_CHARACTERS = 500
_END_S = 5.0


class Printed:
    """Reads a pipe until its other end is closed, so that nobody has to wait who prints."""

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe
        self._kept = b""
        self._thread = threading.Thread(target=self._read, name="printed", daemon=True)
        self._thread.start()

    def text(self) -> str:
        """Return the last lines once everybody who could print is gone."""
        self._thread.join(_END_S)
        lines = self._kept.decode(errors="replace").splitlines()[-_SHOWN_LINES:]
        return "\n".join(clean_text(line, _LINE_CHARACTERS) for line in lines)[-_SHOWN_CHARACTERS:]

    def _read(self) -> None:
        with open(self._pipe, "rb", buffering=0) as pipe:  # noqa: PTH123 - a descriptor
            while piece := pipe.read(_READ_BYTES):
                self._kept = (self._kept + piece)[-_KEPT_BYTES:]
