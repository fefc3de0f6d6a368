"""A copy of the whole site in one file: the database first, then the files that rows name.

Files are written before the rows that name them, so whatever the copied rows name is there when
its turn comes, however many submissions go on meanwhile. The secret key is not in it: who finds
a copy could sign sessions with it.
"""

import hashlib
import io
import json
import os
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.files.base import File
from django.core.files.storage import default_storage
from django.core.management import call_command
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from arena.operations import dumps
from competitions.models import Competition
from evaluation.models import Worker
from evaluation.presence import platform_version
from evaluation.stored_files import named_files

FORMAT = 1
DATABASE, CONTENTS, FILES = "database", "contents.json", "files/"
_BLOCK = 1 << 20


class Refused(Exception):
    """The copy can't be made or put back; one sentence that says what to do."""


@dataclass(frozen=True)
class Contents:
    """What a copy holds; ``sha256`` is by member."""

    format: int
    version: str
    vendor: str
    made_at: str
    migrations: list[list[str]]
    sha256: dict[str, str]


@dataclass(frozen=True)
class Copied:
    files: int
    missing: int
    """Named by a row and gone before their turn came: removed meanwhile, or lost before."""


# --- Backup ------------------------------------------------------------------------------------
def back_up(target: Path) -> Copied:
    """Write a copy of the site to ``target``, which appears when it is whole.

    Raises:
        Refused: there is such a file already.
        CopyFailed: the database could not be copied.
    """
    if target.exists():
        raise Refused(f"{target} exists; name another file")
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        draft.touch(mode=0o600, exist_ok=False)
        with draft.open("wb") as file:
            copied = _write(file)
            file.flush()
            os.fsync(file.fileno())
        draft.rename(target)
    finally:
        draft.unlink(missing_ok=True)
    return copied


def _write(file: IO[bytes]) -> Copied:
    sha256: dict[str, str] = {}
    missing = 0
    with tarfile.open(fileobj=file, mode="w") as tar, _scratch() as folder:
        dumped = folder / DATABASE
        dumps.dump(dumped)
        migrations = sorted([*key] for key in MigrationRecorder(connection).applied_migrations())
        with dumped.open("rb") as database:
            sha256[DATABASE] = _add(tar, DATABASE, database, dumped.stat().st_size)
        for name in named_files():
            member = f"{FILES}{name}"
            if member in sha256:
                continue
            try:
                with default_storage.open(name) as stored:
                    sha256[member] = _add(tar, member, stored, stored.size)
            except FileNotFoundError:
                missing += 1
        contents = Contents(
            FORMAT,
            platform_version(),
            connection.vendor,
            time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            migrations,
            sha256,
        )
        text = json.dumps(asdict(contents)).encode()
        _add(tar, CONTENTS, io.BytesIO(text), len(text))
    return Copied(len(sha256) - 1, missing)


def _add(tar: tarfile.TarFile, name: str, source: Any, size: int) -> str:
    member = tarfile.TarInfo(name)
    member.size, member.mode, member.mtime = size, 0o600, int(time.time())
    read = _Hashed(source)
    tar.addfile(member, read)
    return read.digest.hexdigest()


class _Hashed:
    """A file that notes what is read of it."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        block = self._source.read(size)
        self.digest.update(block)
        return block


# --- Restore -----------------------------------------------------------------------------------
def restore(source: Path, *, may_replace: bool) -> Copied:
    """Put a copy in the place of what is here, then bring it up to this version.

    Nothing is changed before the whole copy has been read and found sound.

    Raises:
        Refused: it is damaged, of another kind of database or a newer version, or the site is in
            use or not empty.
        CopyFailed: the database could not be put back; it is as it was.
    """
    _require_idle()
    call_command("migrate", interactive=False, verbosity=0)  # else there is nothing to look at
    if not may_replace and not is_empty():
        raise Refused("this site is not empty; --replace puts the copy in the place of all of it")
    try:
        with tarfile.open(source, "r:") as tar, _scratch() as folder:
            contents = _read_contents(tar)
            _require_fitting(contents)
            _require_whole(tar, contents)
            _extract(tar, DATABASE, folder / DATABASE)
            names = [name for name in contents.sha256 if name.startswith(FILES)]
            for member in names:
                _store(tar, member)
            dumps.load(folder / DATABASE)
    except (tarfile.TarError, KeyError, ValueError) as error:
        raise Refused(f"{source} is damaged, or no copy of a site: {error}") from error
    call_command("migrate", interactive=False, verbosity=0)
    return Copied(len(names), 0)


def is_empty() -> bool:
    """Say whether nobody has an account here and there is no competition."""
    return not (get_user_model().objects.exists() or Competition.objects.exists())


def _require_idle() -> None:
    if "evaluation_worker" not in connection.introspection.table_names():
        return
    online = list(Worker.objects.online().values_list("name", flat=True))
    if online:
        raise Refused(f"stop everything first; still working: {', '.join(online)}")


def _read_contents(tar: tarfile.TarFile) -> Contents:
    contents = Contents(**json.loads(_open(tar, CONTENTS).read()))
    if contents.format != FORMAT:
        raise Refused(f"this version reads copies of format {FORMAT}, not {contents.format}")
    return contents


def _require_fitting(contents: Contents) -> None:
    if contents.vendor != connection.vendor:
        raise Refused(
            f"the copy is of {contents.vendor}, DATABASE_URL names {connection.vendor}: "
            "there is no way from one to the other"
        )
    known = {tuple(key) for key in (MigrationLoader(None).disk_migrations or ())}
    if unknown := {tuple(key) for key in contents.migrations} - known:
        newer = ", ".join(sorted(".".join(key) for key in unknown)[:3])
        raise Refused(f"the copy is of a newer version ({contents.version}: {newer})")


def _require_whole(tar: tarfile.TarFile, contents: Contents) -> None:
    for name, expected in contents.sha256.items():
        digest = hashlib.sha256()
        file = _open(tar, name)
        while block := file.read(_BLOCK):
            digest.update(block)
        if digest.hexdigest() != expected:
            raise Refused(f"{name} in the copy is damaged")


def _open(tar: tarfile.TarFile, name: str) -> IO[bytes]:
    file = tar.extractfile(name)
    if file is None:
        raise KeyError(name)
    return file


def _extract(tar: tarfile.TarFile, name: str, target: Path) -> None:
    source = _open(tar, name)
    with target.open("xb") as file:
        while block := source.read(_BLOCK):
            file.write(block)


def _store(tar: tarfile.TarFile, member: str) -> None:
    """Store a file under the name that its row has; the storage refuses to leave its place."""
    name = member.removeprefix(FILES)
    default_storage.delete(name)
    stored = default_storage.save(name, File(_open(tar, member), name=name))
    if stored != name:
        default_storage.delete(stored)
        raise Refused(f"{name} can't be stored under its name")


@contextmanager
def _scratch() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=settings.FILE_UPLOAD_TEMP_DIR, prefix="copy-") as folder:
        yield Path(folder)
