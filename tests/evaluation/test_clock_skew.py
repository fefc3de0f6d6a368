"""A worker whose clock is wrong changes nothing: leases and pauses go by the database's clock."""

import json
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.services import fresh_database

ROOT = Path(__file__).resolve().parents[2]
SKEW = timedelta(minutes=5)

# One row to take, one that has to wait, one that another worker holds.
PREPARE = """
from datetime import timedelta
from django.core.management import call_command
from django.db.models.functions import Now
call_command("migrate", verbosity=0)
from evaluation import services
from evaluation.models import Stage
from tests.factories import make_submission
phase = make_submission(status="queued").phase
make_submission(phase=phase, status="queued", not_before=Now() + timedelta(seconds=120))
held = make_submission(phase=phase, status="queued")
assert services.begin(held, Stage.SCORE, worker="elsewhere")
"""
# What a worker and a sweeper do whose clock is wrong, and what the database says of it.
SKEWED = """
import json
from datetime import datetime, timedelta, timezone
from django.conf import settings
from django.db.models import DurationField, ExpressionWrapper, F
from django.db.models.functions import Now
from evaluation import services, sweeper
from evaluation.lease import Lease
from evaluation.row_lease import RowHold, next_expiry
from evaluation.models import EvaluationRun, Stage
from submissions.models import Submission
waiting = Submission.objects.filter(status="queued").order_by("created_at")
free, postponed = waiting
swept = sweeper.sweep()
early = services.begin(postponed, Stage.SCORE, worker="skewed")
run = services.begin(free, Stage.SCORE, worker="skewed")
with Lease(RowHold(free), deadline=timedelta(minutes=1)) as lease:
    assert free.renew(lease_expires_at=next_expiry())
since = lambda name: ExpressionWrapper(F(name) - Now(), output_field=DurationField())
row = Submission.objects.annotate(
    lease=since("lease_expires_at"), started=since("started_at"), changed=since("status_changed_at")
).get(pk=free.pk)
run = EvaluationRun.objects.annotate(started=since("started_at")).get(pk=run.pk)
kept = row.lease
services.record_fault(EvaluationRun.objects.get(pk=run.pk), reason="no disk")
after = Submission.objects.annotate(pause=since("not_before")).get(pk=free.pk)
print(json.dumps({
    "clock": datetime.now(timezone.utc).isoformat(),
    "swept": [swept.lost, swept.retried], "claimed early": early is not None,
    "lease": kept.total_seconds(),
    "off": [each.total_seconds() for each in (row.started, row.changed, run.started)],
    "pause": after.pause.total_seconds(), "retried": sweeper.retry_faults(),
}))
"""


def shell(code: str, env: dict[str, str], *before: str) -> str:
    command = [*before, sys.executable, str(ROOT / "manage.py"), "shell", "-v", "0", "-c", code]
    done = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("sign", [1, -1], ids=["fast", "slow"])
def test_a_worker_whose_clock_is_five_minutes_off_changes_nothing(
    sign: int, postgres_url: str, tmp_path: Path
) -> None:
    faketime = shutil.which("faketime")
    assert faketime, "faketime is missing. Run: apt-get install faketime"
    env = {
        **os.environ,
        "DATABASE_URL": fresh_database(postgres_url),
        "ARENA_VAR": str(tmp_path / "var"),
        "ARENA_LEASE_SECONDS": "30",
        "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'platform'}",
    }
    shell(PREPARE, env)
    offset = f"{sign * SKEW.total_seconds():+.0f}s"
    found: dict[str, Any] = json.loads(shell(SKEWED, env, faketime, "-f", offset))
    off = datetime.fromisoformat(found["clock"]) - datetime.now(UTC)
    assert abs(off - sign * SKEW) < timedelta(minutes=2), "its clock was right: nothing is tested"
    assert found["swept"] == [0, 0], "it took what another worker holds"
    assert not found["claimed early"]
    assert 0 < found["lease"] <= 30
    assert all(-60 < seconds <= 0 for seconds in found["off"]), found["off"]
    assert 0 < found["pause"] <= 4
    assert found["retried"] == 0
