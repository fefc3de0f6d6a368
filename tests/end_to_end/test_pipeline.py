"""A generator goes in by curl and comes out ranked, with every process running for real."""

import io
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from evaluation.demo.baselines import identity_baseline, style_paste_baseline
from tests.deployment import Deployment, deployed
from tests.services import fresh_database

SCORED_S = 180.0
SIZE = 64
PAIRS = 4

# Small pictures, the surrogate networks and one user who has joined.
SETUP = f"""
from styletransfer.pretrained import extractor_pin
from tests.factories import *
vgg, inception = extractor_pin("vgg19-surrogate-1"), extractor_pin("inception-surrogate-1")
phase = make_phase(
    reference_set=make_reference_set(pairs={PAIRS}, size={SIZE}, reals=4),
    vgg_name=vgg.name, vgg_sha256=vgg.sha256,
    inception_name=inception.name, inception_sha256=inception.sha256,
    quota_concurrent=10, quota_per_day=50,
)
make_team(make_user(username="alice"), phase=phase)
print(phase.pk)
"""


class Site:
    """A running platform as a participant with curl sees it."""

    def __init__(self, deployment: Deployment) -> None:
        self.deployment = deployment
        self.phase = deployment.manage("shell", "-v", "0", "-c", SETUP).split()[-1]
        self.token = deployment.manage("token", "alice").strip()

    def curl(self, path: str, *options: str, token: str | None = None) -> tuple[int, Any]:
        url = path if path.startswith("http") else f"{self.deployment.url}/api/v1/{path}"
        token = self.token if token is None else token
        command = ["curl", "-sS", "-w", "\n%{http_code}", "-H", f"Authorization: Token {token}"]
        done = subprocess.run([*command, *options, url], capture_output=True, check=True)
        body, _, status = done.stdout.rpartition(b"\n")
        return int(status), json.loads(body) if body[:1] in b"{[" and body else body

    def submit(self, checkpoint: Path, manifest: dict[str, Any]) -> tuple[int, Any]:
        return self.curl(
            f"phases/{self.phase}/submissions/",
            *("-F", f"checkpoint=@{checkpoint}"),
            *("-F", f"manifest={json.dumps(manifest)}"),
        )

    def status(self, submission: str) -> str:
        return str(self.curl(f"submissions/{submission}/")[1]["status"])

    def wait_until_ended(self, submission: str) -> Any:
        ended = ("scored", "failed", "rejected", "cancelled")
        self.deployment.wait_for(
            "the end of the submission", lambda: self.status(submission) in ended, SCORED_S
        )
        return self.curl(f"submissions/{submission}/")[1]

    def wait_for_status(self, submission: str, status: str) -> None:
        self.deployment.wait_for(status, lambda: self.status(submission) == status, SCORED_S)


@pytest.fixture(params=["sqlite and files", "postgresql and redis"], scope="module")
def site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    env = {"ARENA_LEASE_SECONDS": "4", "ARENA_HEARTBEAT_SECONDS": "1", "ARENA_DEBUG": "0"}
    if request.param == "postgresql and redis":
        env["DATABASE_URL"] = fresh_database(request.getfixturevalue("postgres_url"))
        env["REDIS_URL"] = request.getfixturevalue("redis_url")
    with deployed(tmp_path_factory.mktemp("site") / "var", **env) as deployment:
        yield Site(deployment)


def write(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def test_a_generator_is_checked_run_scored_and_ranked(site: Site, tmp_path: Path) -> None:
    identity = identity_baseline()
    file = write(tmp_path, "identity.onnx", identity.checkpoint)
    status, made = site.submit(file, identity.manifest)
    assert (status, made["status"]) == (201, "checking"), made
    ended = site.wait_until_ended(made["id"])
    assert ended["status"] == "scored", ended
    assert ended["scores"]["content"] == {"value": 0.0, "low": 0.0, "high": 0.0}
    assert ended["scores"]["style"]["value"] > 0
    status, board = site.curl(f"phases/{site.phase}/leaderboard/")
    rows = [row for row in board["results"] if row["submission"] == made["id"]]
    assert rows[0]["rank"] is not None
    assert len(ended["outputs"]) == PAIRS


def test_the_pictures_are_exactly_what_the_generator_made(site: Site, tmp_path: Path) -> None:
    paste = style_paste_baseline()
    _, made = site.submit(write(tmp_path, "paste.onnx", paste.checkpoint), paste.manifest)
    ended = site.wait_until_ended(made["id"])
    assert ended["scores"]["style"]["value"] == 0.0, ended
    pictures = {pixels_of(site, output["url"]) for output in ended["outputs"]}
    assert len(pictures) == 1  # one style, pasted everywhere


def pixels_of(site: Site, url: str) -> bytes:
    if url.startswith("/"):
        url = site.deployment.url + url
    status, png = site.curl(url)
    assert status == 200
    with Image.open(io.BytesIO(png)) as image:
        assert image.size == (SIZE, SIZE)
        return image.tobytes()


def test_a_worker_killed_in_the_middle_loses_nothing(site: Site, tmp_path: Path) -> None:
    identity = identity_baseline()
    # Another manifest, so that it is no duplicate of the identity submitted before.
    manifest = {**identity.manifest, "size": {"multiple_of": 2}}
    _, made = site.submit(write(tmp_path, "again.onnx", identity.checkpoint), manifest)
    site.wait_for_status(made["id"], "running")
    worker = site.deployment.pid_of("-Q evaluation")
    assert worker is not None
    os.kill(worker, signal.SIGKILL)
    assert site.status(made["id"]) == "running"  # nobody has noticed yet
    ended = site.wait_until_ended(made["id"])
    assert ended["status"] == "scored"
    code = (
        "from evaluation.models import *;"
        f"runs = EvaluationRun.objects.filter(submission='{made['id']}', stage='score');"
        "print([run.outcome for run in runs], Score.objects.filter(run__in=runs, metric='total')"
        ".count())"
    )
    printed = site.deployment.manage("shell", "-v", "0", "-c", code)
    assert "['lost', 'passed'] 1" in printed


def test_a_running_submission_stops_when_it_is_cancelled(site: Site, tmp_path: Path) -> None:
    identity = identity_baseline()
    manifest = {**identity.manifest, "size": {"multiple_of": 4}}
    _, made = site.submit(write(tmp_path, "cancel.onnx", identity.checkpoint), manifest)
    site.wait_for_status(made["id"], "running")
    status, _ = site.curl(f"submissions/{made['id']}/cancel/", "-X", "POST")
    assert status == 200
    status, answer = site.curl(f"submissions/{made['id']}/cancel/", "-X", "POST")
    assert (status, answer["code"]) == (409, "already_ended")
    time.sleep(3)
    assert site.status(made["id"]) == "cancelled"
