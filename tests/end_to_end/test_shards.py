"""Two workers share a submission and one is killed: the card is that of a single worker."""

import json
import os
import signal
import sqlite3
import sys
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from arena.launch import worker
from tests.deployment import Deployment
from tests.programs import running

PAIRS, PARTS = 20, 5
FAST = {
    "ARENA_SHARD_PAIRS": str(PAIRS // PARTS),
    "ARENA_LEASE_SECONDS": "6",
    "ARENA_HEARTBEAT_SECONDS": "1",
    "ARENA_SWEEP_SECONDS": "1",
}
ASK = """
import hashlib
from django.core.files.base import ContentFile
from django.utils.timezone import now
from evaluation.demo.baselines import trained_baseline
from styletransfer.pretrained import extractor_pin
from styletransfer.surrogates import BY_ROLE
from submissions import dispatch
from tests.factories import make_phase, make_recipe, make_reference_set, make_submission
baseline = trained_baseline()
submission = make_submission(
    phase=make_phase(
        reference_set=make_reference_set(pairs=%d, size=96),
        recipe=make_recipe(metrics=["content", "style", "total", "fid_pytorch", "kid", "ssim"]),
        extractors={role: extractor_pin(name) for role, name in BY_ROLE.items()},
    ),
    status="queued", queued_at=now(), checked_at=now(),
    checkpoint=ContentFile(baseline.checkpoint, name="generator.safetensors"),
    sha256=hashlib.sha256(baseline.checkpoint).hexdigest(),
    manifest=baseline.manifest,
)
dispatch.send(submission.pk, "queued")
"""
# What a single worker measures: the same core on the stored pictures, all at once.
SCORE = """
import json
from evaluation.models import EvaluationRun, Output
from evaluation.references import load_references
from styletransfer.determinism import make_deterministic
from styletransfer.images import decode_png
from styletransfer.scoring import Scorer
make_deterministic(1)
run = EvaluationRun.objects.select_related("submission__phase__recipe").get()
phase = run.submission.phase
references = load_references(phase.reference_set_id, phase.reference_set.sha256)
scorer = Scorer(phase.recipe.as_value(), references, phase.extractors)
outputs = Output.objects.filter(run=run).order_by("pair__position")
pictures = [decode_png(output.file.read()) for output in outputs]
card = scorer.score(pictures, checkpoint_sha256=run.submission.sha256)
print(json.dumps({"whole": card.to_json(), "divided": run.card}))
"""


def named(name: str) -> list[str]:
    return [part.replace("evaluation@", f"{name}@") for part in worker("evaluation").command]


def read(site: Deployment, query: str) -> list[tuple[Any, ...]]:
    """Ask the database at once; a management command takes seconds."""
    with closing(sqlite3.connect(f"file:{site.var / 'db.sqlite3'}?mode=ro", uri=True)) as database:
        return database.execute(query).fetchall()


def count(site: Deployment, condition: str) -> int:
    query = "SELECT count(*) FROM evaluation_shard WHERE " + condition  # noqa: S608 - our own
    found: int = read(site, query)[0][0]
    return found


@pytest.mark.timeout(1200)
def test_a_run_goes_on_without_the_worker_that_was_killed(tmp_path: Path) -> None:
    site = Deployment(tmp_path / "var", **FAST, DATABASE_URL="", REDIS_URL="")
    site.manage("migrate", "--verbosity", "0")
    site.manage("shell", "-v", "0", "-c", ASK % PAIRS)
    with ExitStack() as programs:
        start = partial(running, site)
        programs.enter_context(start([sys.executable, "manage.py", "sweep"]))
        programs.enter_context(start(named("first")))
        second = programs.enter_context(start(named("second")))
        site.wait_for(
            "both at work",
            lambda: (
                count(site, "state = 'held' AND worker LIKE 'second@%' AND made > 0")
                and count(site, "worker LIKE 'first@%'")
            ),
            600,
        )
        os.killpg(second.pid, signal.SIGKILL)
        second.wait(20)
        site.wait_for(
            "scores",
            lambda: read(site, "SELECT status FROM submissions_submission") == [("scored",)],
            600,
        )
        site.wait_for("tidiness", lambda: not count(site, "result != ''"), 60)
    assert count(site, "faults = 1 AND count > 0") == 1  # only the lost one was made again
    assert count(site, "faults = 0 AND attempt = 1") == PARTS  # the others, and the card, once
    assert read(site, "SELECT outcome, attempt FROM evaluation_evaluationrun") == [("passed", 1)]
    assert read(site, "SELECT count(*) FROM evaluation_output") == [(PAIRS,)]
    cards = json.loads(site.manage("shell", "-v", "0", "-c", SCORE))
    assert cards["divided"]["scores_sha256"] == cards["whole"]["scores_sha256"]
    assert cards["divided"]["scores"] == cards["whole"]["scores"]
    assert cards["divided"]["per_pair"] == cards["whole"]["per_pair"]
    assert cards["divided"]["measurements"]["shards"] == PARTS
    assert {"sensitivity", "second_pass"} == set(cards["divided"]["guards"])
