"""A generator goes in by curl and comes out ranked, with every process running for real."""

import io
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils.timezone import now
from PIL import Image

from evaluation.demo.baselines import identity_baseline, style_paste_baseline
from tests.deployment import deployed
from tests.end_to_end.running_site import FAST_LEASES, METRICS, PAIRS, SIZE, Site
from tests.services import fresh_database


@pytest.fixture(params=["sqlite and files", "postgresql and redis"], scope="module")
def site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    env = dict(FAST_LEASES)
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
    assert set(ended["scores"]) == set(METRICS)
    assert ended["scores"]["lpips"] == {"value": 0.0, "low": 0.0, "high": 0.0}
    fid = ended["scores"]["fid_pytorch"]["value"]
    assert ended["scores"]["artfid"] == {"value": 1 + fid, "low": None, "high": None}
    require_measured_apart(ended)
    status, board = site.curl(f"phases/{site.phase}/leaderboard/")
    rows = [row for row in board["results"] if row["submission"] == made["id"]]
    assert rows[0]["rank"] is not None
    assert rows[0]["scores"] == ended["scores"]
    assert len(ended["outputs"]) == PAIRS
    # The web server has served all that, the worker has scored it: only one of them needs torch.
    assert site.deployment.has_loaded("-Q evaluation", "libtorch")
    assert not site.deployment.has_loaded("granian", "libtorch")
    assert not site.deployment.has_loaded("granian", "onnxruntime")


def require_measured_apart(ended: dict[str, Any]) -> None:
    """What was measured of the run is shown beside the scores and not hashed with them."""
    card, measured = ended["card"], {"ms_per_image", "parameters", "peak_memory"}
    assert set(card["scores"]) == set(METRICS) - measured
    assert set(card["provenance"]["extractors"]) == {"vgg", "inception", "lpips"}
    for key in measured:
        value = ended["scores"][key]["value"]
        assert ended["scores"][key] == {"value": value, "low": None, "high": None}
        assert value == card["measurements"][key]
    assert ended["scores"]["ms_per_image"]["value"] > 0
    assert ended["scores"]["parameters"]["value"] == 0  # it only hands on its input


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


def test_of_twenty_at_once_with_one_try_left_one_is_taken(site: Site, tmp_path: Path) -> None:
    phase = site.add_phase(quota_per_day=1)
    identity = identity_baseline()
    # Each its own file: a doc string, which protobuf lets anybody append.
    files = [
        write(tmp_path, f"{n}.onnx", identity.checkpoint + b"\x32\x02" + str(n).encode())
        for n in range(10, 30)
    ]
    with ThreadPoolExecutor(len(files)) as threads:
        answers = list(
            threads.map(lambda file: site.submit(file, identity.manifest, phase=phase), files)
        )
    taken = [body for status, body in answers if status == 201]
    refused = [body for status, body in answers if status == 429]
    assert (len(taken), len(refused)) == (1, 19), answers
    for body in refused:
        assert (body["code"], body["quota"]) == ("quota_spent", "per_day")
        assert (body["limit"], body["used"]) == (1, 1)
        wait = datetime.fromisoformat(body["next_allowed_at"]) - now()
        assert timedelta(hours=23) < wait <= timedelta(hours=24)
    site.curl(f"submissions/{taken[0]['id']}/cancel/", "-X", "POST")


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


def test_a_worker_that_is_stopped_gives_back_what_it_runs(site: Site, tmp_path: Path) -> None:
    identity = identity_baseline()
    manifest = {**identity.manifest, "size": {"multiple_of": 8}}
    _, made = site.submit(write(tmp_path, "stop.onnx", identity.checkpoint), manifest)
    site.wait_for_status(made["id"], "running")
    worker = site.deployment.pid_of("-Q evaluation")
    assert worker is not None
    os.kill(worker, signal.SIGTERM)
    assert site.wait_until_ended(made["id"])["status"] == "scored"
    code = (
        "from submissions.models import *;"
        f"submission = Submission.objects.get(pk='{made['id']}');"
        "print(submission.faults, [run.outcome for run in submission.runs.filter(stage='score')])"
    )
    printed = site.deployment.manage("shell", "-v", "0", "-c", code)
    assert "0 ['stopped', 'passed']" in printed
