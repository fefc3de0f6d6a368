"""Whether the parts that the site stands on work; one set of checks for all who ask.

``/readyz`` asks the quick ones, ``manage.py doctor`` all, and the organizers' start page those
that people can act on.
"""

import logging
import os
import shutil
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache

from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, default_storage, storages
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.utils.timezone import now
from django.utils.translation import gettext as _

from competitions import messages
from competitions.models import Phase
from evaluation.models import Worker
from evaluation.presence import platform_version
from evaluation.queues import find_queues
from evaluation.stored_files import latest_named_files
from styletransfer import pretrained
from styletransfer.errors import WeightsMismatch

log = logging.getLogger(__name__)

LEAST_FREE_BYTES = 2 * 1024**3
LARGEST_SKEW = timedelta(seconds=5)
# With a worker that has nothing to do, nothing waits longer than a message needs.
LONGEST_STANDSTILL = timedelta(minutes=10)
BROKER_TIMEOUT_S = 2.0
A_DAY = timedelta(days=1)
# So many files of rows are looked for; `manage.py stored_files` looks for all.
FILES_LOOKED_FOR = 200


@dataclass(frozen=True)
class Finding:
    """What one check found; ``remedy`` says what to do where it is not well."""

    check: str
    is_ok: bool
    detail: str
    remedy: str = ""


Check = Callable[[], Finding]


def run(names: Iterable[str] | None = None) -> list[Finding]:
    """Make the named checks, or all."""
    return [run_one(name, CHECKS[name]) for name in (CHECKS if names is None else names)]


def run_one(name: str, check: Check) -> Finding:
    """Make a check; one that breaks off has found something."""
    try:
        return check()
    except Exception as error:
        log.warning("the check of %s broke off", name, exc_info=True)
        detail = f"{type(error).__name__}: {error}"
        return Finding(name, is_ok=False, detail=" ".join(detail.split()), remedy=_REMEDIES[name]())


def _fail(name: str, detail: str, remedy: str = "") -> Finding:
    return Finding(name, is_ok=False, detail=detail, remedy=remedy or _REMEDIES[name]())


# --- Quick ones --------------------------------------------------------------------------------
def _database() -> Finding:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return Finding("database", is_ok=True, detail=connection.vendor)


@cache
def _known_migrations() -> frozenset[tuple[str, str]]:
    return frozenset(MigrationLoader(None, ignore_no_migrations=True).disk_migrations or ())


def _migrations() -> Finding:
    missing = _known_migrations() - set(MigrationRecorder(connection).applied_migrations())
    if missing:
        names = ", ".join(sorted(f"{app}.{name}" for app, name in missing)[:5])
        return _fail("migrations", _("not applied: %(names)s") % {"names": names})
    return Finding("migrations", is_ok=True, detail=_("all applied"))


def _broker() -> Finding:
    if settings.REDIS_URL:
        import redis  # large, and for who has one

        client = redis.Redis.from_url(
            settings.REDIS_URL,
            socket_timeout=BROKER_TIMEOUT_S,
            socket_connect_timeout=BROKER_TIMEOUT_S,
        )
        with client:
            client.ping()
        return Finding("broker", is_ok=True, detail="Redis")
    folder = settings.BROKER_DIR / "queue"
    if not os.access(folder, os.W_OK | os.X_OK):
        return _fail("broker", _("%(folder)s can't be written to") % {"folder": folder})
    return Finding("broker", is_ok=True, detail=_("a folder"))


def _storage_answers() -> Finding:
    if isinstance(storages["default"], FileSystemStorage):
        folder = default_storage.path("")
        if not os.access(folder, os.W_OK | os.X_OK):
            return _fail("storage", _("%(folder)s can't be written to") % {"folder": folder})
    default_storage.exists("readiness")
    return Finding("storage", is_ok=True, detail=_("answers"))


# --- The others --------------------------------------------------------------------------------
def _storage() -> Finding:
    """Write, read and remove a file."""
    content = os.urandom(64)
    name = default_storage.save(f"doctor/{os.getpid()}-{time.time_ns()}", ContentFile(content))
    try:
        with default_storage.open(name) as stored:
            is_same = stored.read() == content
    finally:
        default_storage.delete(name)
    if not is_same:
        return _fail("storage", _("a file came back changed"))
    return Finding("storage", is_ok=True, detail=_("a file was written, read and removed"))


def _files() -> Finding:
    """Look for some of the files that rows name, the latest ones."""
    looked_for, missing = 0, []
    for name in latest_named_files(FILES_LOOKED_FOR):
        looked_for += 1
        if not default_storage.exists(name):
            missing.append(name)
    if missing:
        said = _("%(missing)d of %(all)d that rows name are not there, such as %(name)s")
        facts = {"missing": len(missing), "all": looked_for, "name": missing[0]}
        return _fail("files", said % facts)
    detail = _("the latest %(number)d that rows name are there") % {"number": looked_for}
    return Finding("files", is_ok=True, detail=detail)


def _broker_as_used() -> Finding:
    """Ask the broker as those do who send messages."""
    quick = _broker()
    waiting = sum(messages.count(queue.name) for queue in find_queues())
    if not quick.is_ok:
        return quick
    detail = _("%(kind)s, %(number)d messages") % {"kind": quick.detail, "number": waiting}
    return Finding("broker", is_ok=True, detail=detail)


def _sandbox() -> Finding:
    """Try the sandbox here where generators could run here, else believe the workers."""
    troubled = [
        f"{row.name}: {row.sandbox_check.get('problem', '')}"
        for row in Worker.objects.without_walls().seen_within(A_DAY).order_by("name")
    ]
    if troubled:
        return _fail("sandbox", "; ".join(troubled), _("Do what it says, then start the worker."))
    if shutil.which("bwrap") is None:
        fine = Worker.objects.online().count()
        if not fine:
            return _fail("sandbox", _("no bubblewrap here, and no worker that has tried its own"))
        return Finding("sandbox", is_ok=True, detail=_("tried by %(n)d workers") % {"n": fine})
    # Loads numpy, which no web process needs.
    from evaluation.sandbox import SandboxUnavailable, self_test

    try:
        self_test()
    except SandboxUnavailable as error:
        return _fail("sandbox", str(error), _("Do what it says, then start the worker."))
    return Finding("sandbox", is_ok=True, detail=_("tight, and a generator runs in it"))


def _weights() -> Finding:
    """Look for the published weights that phases score with; nothing is fetched."""
    needed = {
        pin.name
        for phase in Phase.objects.all()
        for pin in phase.extractors.values()
        if not pretrained.is_surrogate(pin.name)
    }
    missing = []
    for name in sorted(needed):
        try:
            pin = pretrained.local_pin(name, weights_dir=settings.WEIGHTS_DIR)
        except WeightsMismatch as error:
            return _fail("weights", str(error))
        if pin is None:
            missing.append(name)
    if missing:
        return _fail("weights", _("not here: %(names)s") % {"names": ", ".join(missing)})
    detail = _("%(number)d published networks in use") % {"number": len(needed)}
    return Finding("weights", is_ok=True, detail=detail)


def _disk() -> Finding:
    usage = shutil.disk_usage(settings.VAR_DIR)
    detail = _("%(free).1f of %(total).1f GB free") % {
        "free": usage.free / 1e9,
        "total": usage.total / 1e9,
    }
    if usage.free < LEAST_FREE_BYTES:
        return _fail("disk", detail)
    return Finding("disk", is_ok=True, detail=detail)


def database_now() -> datetime:
    """Ask the database what time it is."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT CURRENT_TIMESTAMP")
        said: datetime | str = cursor.fetchone()[0]
    if isinstance(said, str):  # SQLite, which knows whole seconds only
        said = datetime.fromisoformat(said)
    return said if said.tzinfo else said.replace(tzinfo=UTC)


def _clock() -> Finding:
    before = now()
    there = database_now()
    skew = there - before - (now() - before) / 2
    detail = _("%(seconds).1f s from the database's") % {"seconds": skew.total_seconds()}
    return (
        _fail("clock", detail)
        if abs(skew) > LARGEST_SKEW
        else Finding("clock", is_ok=True, detail=detail)
    )


def _workers() -> Finding:
    lonely = [queue.name for queue in find_queues() if not queue.workers]
    if lonely:
        names = ", ".join(lonely)
        return _fail("workers", _("no worker online for: %(names)s") % {"names": names})
    online = list(Worker.objects.online())
    others = sorted(row.name for row in online if row.version != platform_version())
    if others:
        said = _("of another version than this one: %(names)s") % {"names": ", ".join(others)}
        return _fail("workers", said, _("Start them again with the present version."))
    return Finding("workers", is_ok=True, detail=_("%(number)d online") % {"number": len(online)})


def _queues() -> Finding:
    queues = find_queues()
    stuck = [queue for queue in queues if queue.age > LONGEST_STANDSTILL and not queue.busy]
    said = ", ".join(
        _("%(name)s: %(waiting)d waiting, the first for %(minutes)d min")
        % {"name": each.name, "waiting": each.waiting, "minutes": each.age.total_seconds() // 60}
        for each in stuck or queues
    )
    return _fail("queues", said) if stuck else Finding("queues", is_ok=True, detail=said)


_REMEDIES: dict[str, Callable[[], str]] = {
    "database": lambda: _("Start the database; look at DATABASE_URL and the password."),
    "migrations": lambda: _("Stop everything, back up, then run: manage.py migrate"),
    "broker": lambda: _("Start Redis and look at REDIS_URL; nothing is lost meanwhile."),
    "storage": lambda: _("Look at the disk or the object store, and who may write there."),
    "files": lambda: _("Restore them from a backup; manage.py stored_files names all."),
    "sandbox": lambda: _("See docs/operators.md, Sandbox."),
    "weights": lambda: _("Run: manage.py fetch_weights"),
    "disk": lambda: _("Make room, or take a larger disk."),
    "clock": lambda: _("Switch on time synchronisation (NTP) on both machines."),
    "workers": lambda: _("Start one; its log says why it ended."),
    "queues": lambda: _("Nobody takes what waits: look at the log of the workers."),
}
CHECKS: dict[str, Check] = {
    "database": _database,
    "migrations": _migrations,
    "broker": _broker_as_used,
    "storage": _storage,
    "files": _files,
    "sandbox": _sandbox,
    "weights": _weights,
    "disk": _disk,
    "clock": _clock,
    "workers": _workers,
    "queues": _queues,
}
"""Everything that the doctor looks at, in an order in which causes come before effects."""

READINESS: dict[str, Check] = {
    "database": _database,
    "migrations": _migrations,
    "broker": _broker,
    "storage": _storage_answers,
}
"""What a web server needs to do its part; cheap enough to be asked every few seconds."""

PANEL: Sequence[str] = ("workers", "queues")
"""What organizers are told of without asking, on their start page."""

PANEL_OF_ADMINISTRATORS: Sequence[str] = (*PANEL, "disk", "clock")
"""What those are told of who can do something about the machines."""
