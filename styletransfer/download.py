"""Fetch a published file once, whatever happens on the way; free of torch."""

import fcntl
import hashlib
import http.client
import os
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from styletransfer.errors import WeightsMismatch, WeightsUnavailable

Progress = Callable[[int, int | None], None]
"""Called with the bytes that are there and, where known, the bytes there will be."""

_CHUNK = 1 << 20
_TIMEOUT_S = 30
_ATTEMPTS = 5


@dataclass(frozen=True)
class PublishedFile:
    """A file as its makers offer it.

    Attributes:
        url: where it is.
        name: what it is called here; the last part of its address unless that says too little.
        sha256: its hash, or as many of the first digits as are published. By default the eight
            that its name carries.

    Raises:
        WeightsMismatch: nothing is known to check it by.
    """

    url: str
    name: str = ""
    sha256: str = ""

    def __post_init__(self) -> None:
        last = urlsplit(self.url).path.rpartition("/")[2]
        object.__setattr__(self, "name", self.name or last)
        if not self.sha256:
            found = re.search(r"-([0-9a-f]{8})\.\w+$", last)
            if found is None:
                raise WeightsMismatch(f"{last} does not carry its hash in its name")
            object.__setattr__(self, "sha256", found[1])


def sha256_file(path: Path) -> str:
    """Hash a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fetch(
    file: PublishedFile, folder: Path, *, on_progress: Progress | None = None, pause_s: float = 1.0
) -> Path:
    """Return the published file from ``folder``, downloading it there first if need be.

    A cut download goes on where it stopped, now or at the next call. Of several processes that
    ask at once, one downloads and the others wait for it. The file appears under its name only
    when it is whole and its hash is the published one, as far as that is known.

    Raises:
        WeightsUnavailable: the address can't be reached, or the disk is full.
        WeightsMismatch: what it serves is another file.
    """
    target = folder / file.name
    if target.exists():
        return target
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(folder / f"{target.name}.lock"):
            if not target.exists():
                _download(file, target, on_progress, pause_s)
    except OSError as error:
        raise WeightsUnavailable(
            f"can't fetch {file.url}: {error}. Place it in {folder} by hand as {file.name}, or "
            "name a folder that has it in ARENA_WEIGHTS_DIR."
        ) from error
    return target


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    # The kernel drops the lock with the process, so a killed download blocks nobody. The file
    # stays: removing it would let two processes lock two different files of one name.
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _download(
    file: PublishedFile, target: Path, on_progress: Progress | None, pause_s: float
) -> None:
    part = target.with_name(f"{target.name}.part")
    resumed = part.exists()
    _complete(file.url, part, on_progress, pause_s)
    if not sha256_file(part).startswith(file.sha256) and resumed:
        # Perhaps the old piece was bad: once more from the start.
        part.unlink()
        _complete(file.url, part, on_progress, pause_s)
    found = sha256_file(part)
    if not found.startswith(file.sha256):
        part.unlink()
        raise WeightsMismatch(
            f"{file.url} served another file: its SHA-256 begins with {found[:8]}, "
            f"published is {file.sha256[:8]}"
        )
    part.replace(target)


def _complete(url: str, part: Path, on_progress: Progress | None, pause_s: float) -> None:
    """Read until the file is whole; give up after some attempts that brought nothing new."""
    fruitless = 0
    while True:
        before = _size(part)
        problem: Exception
        try:
            if _read_on(url, part, on_progress):
                return
            problem = ConnectionError(f"connection cut after {_size(part)} bytes")
        except urllib.error.HTTPError as error:
            if error.code < 500 and error.code != 429:
                raise
            problem = error
        except (ConnectionError, TimeoutError, urllib.error.URLError) as error:
            problem = error
        except http.client.HTTPException as error:
            problem = ConnectionError(repr(error))
        fruitless = 0 if _size(part) > before else fruitless + 1
        if fruitless >= _ATTEMPTS:
            raise problem
        time.sleep(pause_s * fruitless)


def _read_on(url: str, part: Path, on_progress: Progress | None) -> bool:
    """Ask for what is missing and append it; return whether the file is whole now."""
    if urlsplit(url).scheme not in ("http", "https"):
        raise WeightsUnavailable(f"not a web address: {url}")
    done = _size(part)
    headers = {"User-Agent": "stylearena", "Accept-Encoding": "identity"}
    if done:
        headers["Range"] = f"bytes={done}-"
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - scheme checked above
    try:
        response = urllib.request.urlopen(request, timeout=_TIMEOUT_S)  # noqa: S310
    except urllib.error.HTTPError as error:
        if error.code != 416:
            raise
        # Nothing lies beyond what we have: it is whole, or it is too long.
        if _total(error.headers.get("Content-Range")) != done:
            part.unlink(missing_ok=True)
            return False
        return True
    with response:
        is_continued = response.status == 206
        if is_continued:
            total = _total(response.headers.get("Content-Range"))
        else:
            length = response.headers.get("Content-Length")
            total, done = (int(length) if length else None), 0
        with part.open("ab" if is_continued else "wb") as file:
            while chunk := response.read(_CHUNK):
                file.write(chunk)
                done += len(chunk)
                if on_progress is not None:
                    on_progress(done, total)
            file.flush()
            os.fsync(file.fileno())
    # Python reports a connection that was cut as the end of the data: only the length tells.
    return total is None or done == total


def _total(content_range: str | None) -> int | None:
    found = re.search(r"/(\d+)$", content_range or "")
    return int(found[1]) if found else None


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
