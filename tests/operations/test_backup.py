"""A copy of the site brings all of it back: rows, files, and work that was waiting."""

import io
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tests.object_storage import forget_everything, variables
from tests.services import fresh_database

ROOT = Path(__file__).resolve().parents[2]
FILL = """
from django.utils.timezone import now
from tests.factories import make_scored_submission, make_submission, make_user
from submissions.states import Status
make_user(username="ann")
make_scored_submission()
make_submission(status=Status.QUEUED, checked_at=now())
"""
READ = """
import json
from django.core.files.storage import default_storage
from arena.accounts.models import User
from evaluation.models import Output, Score
from evaluation.stored_files import named_files
from submissions.models import Submission
import hashlib
files = {n: hashlib.sha256(default_storage.open(n).read()).hexdigest() for n in named_files()}
print(json.dumps([
    sorted(User.objects.values_list("username", flat=True)),
    sorted(f"{pk} {status}" for pk, status in Submission.objects.values_list("pk", "status")),
    Score.objects.count(),
    Output.objects.count(),
    files,
]))
"""
CLAIM = """
from evaluation import services, sweeper
from evaluation.models import Stage
from submissions.models import Submission
from submissions.states import Status
waiting = Submission.objects.get(status=Status.QUEUED)
assert sweeper.resend() == 1, "it gets a message again"
assert services.begin(waiting, Stage.SCORE, worker="after") is not None
"""


class Site:
    """A site of its own folder and database, asked by its own processes."""

    def __init__(self, var: Path, database: str, **more: str) -> None:
        self._environment = os.environ | {
            "ARENA_VAR": str(var),
            "DATABASE_URL": database,
            "REDIS_URL": "",
            "DJANGO_SETTINGS_MODULE": "arena.settings",
            "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'platform'}",
            **more,
        }

    def run(self, *arguments: str, fails: bool = False, says_on: str = "stderr") -> str:
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=self._environment,
            capture_output=True,
            text=True,
        )
        assert (done.returncode != 0) == fails, done.stderr
        return done.stderr if fails and says_on == "stderr" else done.stdout

    def do(self, code: str) -> str:
        return self.run("shell", "-v0", "-c", code)


@pytest.fixture(params=["sqlite", "postgresql"])
def sites(request: pytest.FixtureRequest, tmp_path: Path) -> list[Site]:
    made = []
    for name in ("old", "new"):
        url = ""
        if request.param == "postgresql":
            url = fresh_database(request.getfixturevalue("postgres_url"))
        made.append(Site(tmp_path / name, url))
    return made


def test_a_copy_brings_everything_back_and_what_waited_goes_on(
    sites: list[Site], tmp_path: Path
) -> None:
    old, new = sites
    copy = tmp_path / "arena.tar"
    old.run("migrate", "--verbosity", "0")
    old.do(FILL)
    before = old.do(READ)
    assert len(json.loads(before)[4]) >= 5
    assert "files" in old.run("backup", str(copy))
    assert copy.stat().st_mode & 0o777 == 0o600
    secret = (tmp_path / "old" / "secret_key").read_bytes()
    assert secret not in copy.read_bytes()
    assert "exists" in old.run("backup", str(copy), fails=True)

    new.run("restore", str(copy))
    assert new.do(READ) == before
    new.do(CLAIM)

    assert "not empty" in new.run("restore", str(copy), fails=True)
    new.do("from arena.accounts.models import User; User.objects.create(username='later')")
    new.run("restore", str(copy), "--replace")
    assert new.do(READ) == before


def test_a_damaged_copy_is_refused_and_changes_nothing(sites: list[Site], tmp_path: Path) -> None:
    old, new = sites
    copy, damaged = tmp_path / "arena.tar", tmp_path / "damaged.tar"
    old.run("migrate", "--verbosity", "0")
    old.do(FILL)
    old.run("backup", str(copy))
    with tarfile.open(copy) as source, tarfile.open(damaged, "w") as target:
        for member in source.getmembers():
            file = source.extractfile(member)
            assert file is not None
            data = bytearray(file.read())
            if member.name.startswith("files/"):
                data[0] ^= 1
            target.addfile(member, io.BytesIO(bytes(data)))
    assert "damaged" in new.run("restore", str(damaged), fails=True)
    (tmp_path / "short.tar").write_bytes(copy.read_bytes()[:4000])
    assert "damaged" in new.run("restore", str(tmp_path / "short.tar"), fails=True)
    assert json.loads(new.do(READ))[:3] == [[], [], 0]
    media = tmp_path / "new" / "media"
    assert [path for path in media.rglob("*") if path.is_file()] == []


def test_a_site_that_works_is_not_overwritten(tmp_path: Path) -> None:
    site = Site(tmp_path / "var", "")
    site.run("migrate", "--verbosity", "0")
    site.run("backup", str(tmp_path / "arena.tar"))
    site.do(
        "from evaluation.presence import Presence;"
        "Presence('evaluation@here', queues=['evaluation'])._register()"
    )
    assert "stop everything" in site.run("restore", str(tmp_path / "arena.tar"), fails=True)


def test_a_copy_of_another_database_or_a_newer_version_is_refused(
    tmp_path: Path, postgres_url: str
) -> None:
    site = Site(tmp_path / "var", "")
    site.run("migrate", "--verbosity", "0")
    copy = tmp_path / "arena.tar"
    site.run("backup", str(copy))
    other = Site(tmp_path / "other", fresh_database(postgres_url))
    assert "no way from one to the other" in other.run("restore", str(copy), fails=True)
    newer = tmp_path / "newer.tar"
    with tarfile.open(copy) as source, tarfile.open(newer, "w") as target:
        for member in source.getmembers():
            file = source.extractfile(member)
            assert file is not None
            data = file.read()
            if member.name == "contents.json":
                contents = json.loads(data)
                contents["migrations"].append(["evaluation", "9999_future"])
                data = json.dumps(contents).encode()
                member.size = len(data)
            target.addfile(member, io.BytesIO(data))
    assert "newer version" in site.run("restore", str(newer), fails=True)


def test_files_of_a_bucket_come_back_into_a_bucket_or_a_folder(tmp_path: Path, s3_url: str) -> None:
    forget_everything(s3_url)
    bucket = variables(s3_url)
    old = Site(tmp_path / "old", "", **bucket, AWS_LOCATION="old")
    old.run("migrate", "--verbosity", "0")
    assert "made the bucket" in old.run("prepare_storage")
    assert old.run("prepare_storage") == ""
    old.do(FILL)
    before = old.do(READ)
    assert len(json.loads(before)[4]) >= 5
    assert not [path for path in (tmp_path / "old" / "media").rglob("*") if path.is_file()]
    copy = tmp_path / "arena.tar"
    old.run("backup", str(copy))
    for new in (
        Site(tmp_path / "new", "", **bucket, AWS_LOCATION="new"),
        Site(tmp_path / "folder", ""),
    ):
        new.run("restore", str(copy))
        assert new.do(READ) == before
        assert "not empty" in new.run("restore", str(copy), fails=True)
    # What was lost in the bucket comes back, once somebody says that the rest may go.
    old.do("from evaluation.models import Output; Output.objects.first().file.delete(save=False)")
    assert "missing  outputs" in old.run("stored_files")
    assert "are not there" in old.run("doctor", "files", fails=True, says_on="stdout")
    old.run("restore", str(copy), "--replace")
    assert old.do(READ) == before
    assert "0 missing" in old.run("stored_files")
