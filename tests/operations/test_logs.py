"""Lines of the logs say what they are about, in one format, and give nothing away."""

import json
import logging
import os
import re
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings as site
from django.test import Client
from django.urls import reverse
from structlog.contextvars import bound_contextvars

from arena.operations.logs import keep_out, make_formatter
from evaluation import services
from evaluation.lease import Lease
from evaluation.models import Stage
from evaluation.row_lease import RowHold
from submissions.states import Status
from tests.factories import make_scored_submission, make_submission

ROOT = Path(__file__).resolve().parents[2]


class Lines(logging.Handler):
    """Takes down what would have been written."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(make_formatter())
        self.written: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.written.append(self.format(record))

    def facts(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.written]


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Lines:
    monkeypatch.setenv("ARENA_LOG_FORMAT", "json")
    handler = Lines()
    logger = logging.getLogger("arena.operations.requests")
    monkeypatch.setattr(logger, "level", logging.INFO)
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [*root.handlers, handler])
    logger.manager._clear_cache()  # type: ignore[attr-defined]
    return handler


@pytest.mark.parametrize(
    ("said", "hidden"),
    [
        ("sent to ann.lee+x@mail.example.org", "ann.lee"),
        ("postgresql://arena:hunter22@db/arena", "hunter22"),
        ("Authorization: Token abcdefghijkl12345", "abcdefghijkl12345"),
        ("Not Found: /teams/invitation/AbCdEfGhIjKlMnOpQrStUv12/", "AbCdEfGh"),
        ("GET /unsubscribe/eyJraW5kIjoic3VibWlz:1abc:x-Yz", "eyJraW5k"),
        ("password='correct horse'", "correct"),
        ("the file holds s3cret-of-the-site", "s3cret"),
    ],
)
@pytest.mark.parametrize("style", ["json", "text"])
def test_secrets_and_addresses_are_not_written(
    said: str, hidden: str, style: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARENA_LOG_FORMAT", style)
    keep_out("s3cret-of-the-site")
    record = logging.LogRecord("x", logging.INFO, __file__, 1, said, (), None)
    try:
        raise ValueError(said)
    except ValueError:
        record.exc_info = sys.exc_info()
    line = make_formatter().format(record)
    assert "ValueError" in line
    assert hidden not in line


@pytest.mark.parametrize(
    "said",
    [
        "submission 123e4567-e89b-12d3-a456-426614174000 was stopped",
        "/submissions/123e4567-e89b-12d3-a456-426614174000/ is gone",
        "evaluation@host-1.local took it",
        "outputs/2026/11/17-3.png",
    ],
)
def test_what_is_no_secret_stays_readable(said: str) -> None:
    record = logging.LogRecord("x", logging.INFO, __file__, 1, said, (), None)
    assert said in make_formatter().format(record)


@pytest.mark.django_db
def test_a_request_has_one_id_in_its_answer_and_its_lines(client: Client, lines: Lines) -> None:
    scored = make_scored_submission()
    response = client.get(reverse("submission", args=[scored.pk]), HTTP_X_REQUEST_ID="from-proxy.1")
    assert response["X-Request-ID"] == "from-proxy.1"
    [line] = [each for each in lines.facts() if each["event"] == "answered"]
    assert (line["request"], line["submission"]) == ("from-proxy.1", str(scored.pk))
    assert (line["method"], line["status"]) == ("GET", 200)
    assert "<uuid" in str(line["route"])


@pytest.mark.django_db
def test_an_id_that_could_forge_lines_is_replaced(client: Client, lines: Lines) -> None:
    for given in ("", "a" * 65, 'x" evil=1', "ü"):
        response = client.get("/", HTTP_X_REQUEST_ID=given)
        assert re.fullmatch(r"[0-9a-f]{32}", response["X-Request-ID"]), given


@pytest.mark.django_db(transaction=True)
def test_the_thread_that_renews_a_lease_says_for_which_submission(lines: Lines) -> None:
    submission = make_submission(status=Status.QUEUED)
    assert services.begin(submission, Stage.SCORE, worker="test")
    told = threading.Event()

    class Told(Lease):
        def _renew(self) -> None:
            logging.getLogger("x").info("renewed")
            told.set()

    with bound_contextvars(submission="the-one"):
        lease = Told(RowHold(submission), deadline=timedelta(minutes=1))
    with lease:
        lease.report("generating")
        assert told.wait(10)
    assert {each["submission"] for each in lines.facts() if each["event"] == "renewed"} == {
        "the-one"
    }


def test_celery_and_the_web_server_write_through_the_same_format(tmp_path: Path) -> None:
    code = """
import json, logging
from granian.log import LogLevels, configure_logging
from arena.launch import LOG_CONFIG
configure_logging(LogLevels.warning, json.loads(LOG_CONFIG.read_text()))
logging.getLogger("_granian").warning("ann@example.org worker exited")
import django
django.setup()
from arena.celery import app
app.log.setup(loglevel="INFO")
logging.getLogger("celery.worker").warning("task for ann@example.org")
"""
    environment = os.environ | {
        "ARENA_LOG_FORMAT": "json",
        "ARENA_VAR": str(tmp_path),
        "DJANGO_SETTINGS_MODULE": "arena.settings",
        "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'platform'}",
    }
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    read = [json.loads(line) for line in done.stderr.splitlines()]
    assert [each["logger"] for each in read] == ["_granian", "celery.worker"]
    assert "ann@" not in done.stderr


def test_a_format_that_there_is_not_stops_the_start() -> None:
    done = subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=ROOT,
        env=os.environ | {"ARENA_LOG_FORMAT": "xml"},
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0
    assert "write text or json" in done.stderr


def test_the_sites_own_secrets_are_kept_out() -> None:
    record = logging.LogRecord("x", logging.INFO, __file__, 1, site.SECRET_KEY, (), None)
    assert site.SECRET_KEY not in make_formatter().format(record)
