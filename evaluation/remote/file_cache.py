"""Files that this machine has fetched once, by what is in them; free of Django."""

import fcntl
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

log = logging.getLogger(__name__)


class FileCache:
    """A folder of files named by a SHA-256; several workers may share it.

    What was not used for longest goes first when there is more than ``limit_bytes``.
    """

    def __init__(self, folder: Path, *, limit_bytes: int) -> None:
        self._folder, self._limit = folder, limit_bytes
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def get(
        self, sha256: str, fetch: Callable[[Path], None], is_right: Callable[[bytes], bool]
    ) -> bytes:
        """Return a file, fetched unless it is there and right.

        Raises:
            OSError: what was fetched is another file.
        """
        path = self._folder / sha256[:2] / sha256
        path.parent.mkdir(mode=0o700, exist_ok=True)
        with self._locked():
            for _ in range(2):
                if path.exists():
                    data = path.read_bytes()
                    if is_right(data):
                        os.utime(path)
                        return data
                    path.unlink()
                part = path.with_suffix(".part")
                fetch(part)
                part.replace(path)
            data = path.read_bytes()
            if not is_right(data):
                path.unlink()
                raise OSError(f"what was fetched as {sha256} is another file")
        return data

    def prune(self) -> None:
        """Remove what was not used for longest, until the rest is within the limit."""
        with self._locked():
            files = [path for path in self._folder.glob("??/*") if path.is_file()]
            found = sorted((path.stat().st_mtime, path.stat().st_size, path) for path in files)
            total = sum(size for _, size, _ in found)
            for _, size, path in found:
                if total <= self._limit:
                    return
                path.unlink()
                total -= size

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with (self._folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
