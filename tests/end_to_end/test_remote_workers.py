"""Workers on other machines check and score by HTTPS and Redis alone, as those inside do."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from evaluation.demo.baselines import identity_baseline
from tests.end_to_end.remote_site import RemoteSite, remote_site, tcp_redis
from tests.services import fresh_database

pytestmark = pytest.mark.timeout(900)
RUNS = """
from evaluation.models import EvaluationRun
for run in EvaluationRun.objects.filter(submission=%r).order_by("attempt"):
    print(run.stage, run.outcome, run.worker)
"""
USER = """
from evaluation.gateway import broker
from evaluation.worker_token import WorkerToken
print(broker.grant(WorkerToken.objects.get(name=%r)))
"""


@pytest.fixture(name="site", scope="module")
def run_site(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RemoteSite]:
    folder = tmp_path_factory.mktemp("remote")
    with (
        tcp_redis() as broker,
        remote_site(folder, database=fresh_database(postgres_url), broker=broker) as site,
    ):
        yield site


def submit(site: RemoteSite, folder: Path, phase: str, multiple_of: int = 1) -> str:
    identity = identity_baseline()
    file = folder / "identity.onnx"
    file.write_bytes(identity.checkpoint)
    manifest = {**identity.manifest, "size": {"multiple_of": multiple_of}}
    status, made = site.submit(file, manifest, phase=phase)
    assert status == 201, made
    return str(made["id"])


def runs_of(site: RemoteSite, submission: str) -> list[list[str]]:
    said = site.deployment.manage("shell", "-v", "0", "-c", RUNS % submission)
    return [line.split() for line in said.splitlines()]


def without_times(found: dict[str, Any]) -> dict[str, Any]:
    measured = {"ms_per_image", "peak_memory"}  # of the run, not of the pictures
    return {key: value for key, value in found["scores"].items() if key not in measured}


def test_workers_elsewhere_score_bit_for_bit_like_those_inside(
    site: RemoteSite, tmp_path: Path
) -> None:
    gpu = site.add_phase(workers="gpu", pairs_public=True)
    checks, scores = site.issue("checker", "checks"), site.issue("scorer", "gpu")
    here = submit(site, tmp_path, site.phase)
    there = submit(site, tmp_path, gpu)
    with site.worker("checker", checks), site.worker("scorer", scores) as scorer:
        ended = [site.wait_until_ended(each) for each in (here, there)]
        assert [each["status"] for each in ended] == ["scored", "scored"]
        workers = [
            [line[2].partition("@")[0] for line in runs_of(site, each)] for each in (here, there)
        ]
        assert workers == [["checks", "evaluation"], ["checks", "gpu"]]
        inside, outside = ended
        assert without_times(inside) == without_times(outside)
        assert [each["scores"] for each in inside["outputs"]] == [
            each["scores"] for each in outside["outputs"]
        ]
        for mine, theirs in zip(inside["outputs"], outside["outputs"], strict=True):
            pictures = [site.curl(site.deployment.url + each["url"])[1] for each in (mine, theirs)]
            assert pictures[0] == pictures[1]
        require_nothing_but_its_queue(site)
        require_recovery(site, scorer.pid, tmp_path, gpu, scores)


def require_nothing_but_its_queue(site: RemoteSite) -> None:
    """Try everything that a worker's user at the broker must not do."""
    url = site.deployment.manage("shell", "-v", "0", "-c", USER % "scorer").split()[-1]
    with redis.Redis.from_url(url) as client:
        assert client.llen("arena:gpu:gpu") == 0
        for forbidden in (
            *(["LLEN", "arena:evaluation:evaluation"], ["HGET", "arena:checks:unacked", "x"]),
            *(["LPUSH", "arena:checks:checks", "{}"], ["GET", ":1:some-cache-key"]),
            *(["SET", "arena:private-1:x", "1"], ["EVAL", "return redis.call('GET','x')", "0"]),
            *(["KEYS", "*"], ["SCAN", "0"], ["FLUSHALL"], ["FLUSHDB"], ["CONFIG", "GET", "*"]),
            *(["ACL", "LIST"], ["ACL", "WHOAMI"], ["CLIENT", "LIST"], ["MONITOR"], ["SHUTDOWN"]),
            *(["PUBLISH", "arena:gpu:x", "1"], ["SUBSCRIBE", "arena:evaluation:x"]),
        ):
            with pytest.raises(redis.exceptions.NoPermissionError):
                client.execute_command(*forbidden)


def require_recovery(site: RemoteSite, pid: int, folder: Path, phase: str, key: str) -> None:
    """Kill a worker in the middle: another one of the same token makes the scores, once."""
    submission = submit(site, folder, phase, multiple_of=2)
    site.wait_for_status(submission, "running")
    os.killpg(pid, signal.SIGKILL)
    assert site.status(submission) == "running"
    with site.worker("second", key):
        assert site.wait_until_ended(submission)["status"] == "scored"
        outcomes = [line[:2] for line in runs_of(site, submission)]
        assert outcomes == [["check", "passed"], ["score", "lost"], ["score", "passed"]]
        site.revoke("scorer")
        site.wait_for_line("second", "this worker ends")


def test_a_worker_without_a_valid_token_or_redis_is_told_why(
    site: RemoteSite, tmp_path: Path
) -> None:
    with site.worker("stranger", "no-such-key") as process:
        assert process.wait(120) == 2
    assert "not valid" in site.log_of("stranger").read_text()
