"""Make the runtime readable for a user id that may not enter root's folders.

A sandbox that root starts runs under a slot's user id, but interpreters often lie under /root,
which is closed. With CAP_SYS_ADMIN the keeper bind-mounts everything in a mount namespace of its
own. Without, or where the files themselves are closed, they are copied once.
"""

from __future__ import annotations

import functools
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from evaluation.sandbox.runtime import Bind
from evaluation.sandbox.values import SandboxUnavailable

COPIES = Path("/var/lib/stylearena-sandbox")
_CAP_SYS_ADMIN = 21
# Inside a standard library; folders of packages that are needed have a bind of their own.
_NOT_NEEDED = shutil.ignore_patterns("site-packages", "dist-packages", "test", "idlelib")


def may_mount() -> bool:
    """Say whether this process can make a mount namespace."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> _CAP_SYS_ADMIN & 1)
    return False


@functools.cache
def readable(binds: tuple[Bind, ...], *, by_mounting: bool) -> tuple[Bind, ...]:
    """Return the same binds with copies in the place of sources that other users can't read.

    Slow only the first time in a process.

    Raises:
        SandboxUnavailable: the copy can't be written.
    """
    closed = [bind for bind in binds if not _is_open(bind.source, from_root=not by_mounting)]
    if not closed:
        return binds
    try:
        folder = _copy_once(closed)
    except OSError as error:
        raise SandboxUnavailable(f"Can't copy the runtime to {COPIES}: {error}") from error
    copies = {bind.target: folder / str(i) for i, bind in enumerate(closed)}
    return tuple(Bind(copies.get(bind.target, bind.source), bind.target) for bind in binds)


def _is_open(path: Path, *, from_root: bool) -> bool:
    if from_root and not all(parent.stat().st_mode & 0o001 for parent in path.parents):
        return False
    needed = 0o005 if path.is_dir() else 0o004
    return path.stat().st_mode & needed == needed


def _copy_once(binds: list[Bind]) -> Path:
    COPIES.mkdir(mode=0o755, parents=True, exist_ok=True)
    COPIES.chmod(0o755)
    final = COPIES / _fingerprint(binds)
    if final.is_dir():
        return final
    draft = Path(tempfile.mkdtemp(dir=COPIES))
    try:
        for i, bind in enumerate(binds):
            _copy(bind.source, draft / str(i))
        draft.chmod(0o755)
        try:
            draft.rename(final)
        except OSError:
            if not final.is_dir():  # else another worker was faster
                raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return final


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, symlinks=True, ignore=_NOT_NEEDED)
    else:
        shutil.copy2(source, target)
    for folder, _, files in os.walk(target):
        Path(folder).chmod(0o755)
        for path in (Path(folder, name) for name in files):
            if not path.is_symlink():
                path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
    if target.is_file():
        target.chmod(0o755)


def _fingerprint(binds: list[Bind]) -> str:
    """Name a state of the sources: a changed or added file makes another copy."""
    state = hashlib.sha256()
    for bind in binds:
        for path in sorted(_files(bind.source)):
            stat = path.lstat()
            state.update(f"{path}\0{bind.target}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode())
    return state.hexdigest()[:32]


def _files(source: Path) -> Iterator[Path]:
    if not source.is_dir():
        yield source
    for folder, folders, files in os.walk(source):
        folders[:] = set(folders) - _NOT_NEEDED(folder, folders) - {"__pycache__"}
        yield from (Path(folder, name) for name in files)
