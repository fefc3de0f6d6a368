"""A database that was restarted while a generator ran costs nobody the work."""

import os
import subprocess
import sys
from pathlib import Path

from tests.services import fresh_database

ROOT = Path(__file__).resolve().parents[2]
RUN = """
import psycopg2
from django.conf import settings
from django.core.management import call_command
from django.db import connection
call_command("migrate", verbosity=0)
from evaluation.assignment import Notes
from evaluation.local_desk import LocalDesk
from tests.evaluation.test_services import PICTURE, make_card, make_submission, start
desk = LocalDesk(start(make_submission(status="queued")))
with connection.cursor() as cursor:
    cursor.execute("SELECT pg_backend_pid()")
    ours = cursor.fetchone()[0]
other = psycopg2.connect(settings.DATABASE_URL)
other.autocommit = True
other.cursor().execute("SELECT pg_terminate_backend(%s)", [ours])
pairs = desk.assignment.count
print(desk.report_scores(Notes(), make_card(pairs), [PICTURE] * pairs))
"""


def test_scores_are_recorded_after_the_connection_was_cut(
    postgres_url: str, tmp_path: Path
) -> None:
    env = {
        **os.environ,
        "DATABASE_URL": fresh_database(postgres_url),
        "ARENA_VAR": str(tmp_path / "var"),
    }
    done = subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), "shell", "-v", "0", "-c", RUN],
        env=env,
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.stdout.split() == ["True"], done.stderr
