"""What machines ask of a web process, under any name and without a session."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis
from django.core.files.storage import default_storage
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client
from pytest_django import DjangoAssertNumQueries, Settings

from arena import launch
from arena.lifetime import die_with_parent
from arena.operations import checks, readiness
from tests.deployment import free_port
from tests.services import private_postgres, private_redis

ANY_NAME: dict[str, Any] = {"HTTP_HOST": "10.0.3.7:8000"}


@pytest.fixture(autouse=True)
def _files(settings: Settings) -> None:
    Path(settings.MEDIA_ROOT).mkdir()  # as settings.py does where the site starts


def asked(client: Client, path: str) -> tuple[int, dict[str, Any]]:
    response = client.get(path, **ANY_NAME)
    return response.status_code, json.loads(response.content)


def test_a_process_that_is_up_says_so_without_the_database(client: Client) -> None:
    # No django_db mark: a query would fail the test.
    assert asked(client, "/healthz") == (200, {"status": "ok"})


@pytest.mark.django_db
def test_a_process_that_is_ready_says_so_in_a_few_queries(
    client: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    status, said = asked(client, "/readyz")
    assert (status, said["status"]) == (200, "ok")
    assert set(said["checks"]) == {"database", "migrations", "broker", "storage"}
    with django_assert_max_num_queries(5):
        assert all(checks.run_one(name, check).is_ok for name, check in checks.READINESS.items())


# A thread of its own makes the checks, and sees only what was committed.
@pytest.mark.django_db(transaction=True)
def test_a_migration_that_is_lacking_makes_it_unready(client: Client) -> None:
    MigrationRecorder(connection).migration_qs.filter(app="evaluation", name="0007_worker").delete()
    status, said = asked(client, "/readyz")
    assert status == 503
    assert said["checks"] == {
        "database": "ok",
        "migrations": "wrong",
        "broker": "ok",
        "storage": "ok",
    }


@pytest.mark.django_db
def test_a_broker_that_is_away_makes_it_unready_and_no_address_comes_out(
    client: Client, settings: Settings
) -> None:
    with private_redis() as url:
        settings.REDIS_URL = url
        assert asked(client, "/readyz")[0] == 200
        redis.Redis.from_url(url).shutdown(nosave=True)
        response = client.get("/readyz", **ANY_NAME)
    assert response.status_code == 503
    assert json.loads(response.content)["checks"]["broker"] == "wrong"
    assert url.encode() not in response.content


@pytest.mark.django_db
def test_files_that_can_not_be_stored_make_it_unready(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(name: str) -> bool:
        raise OSError("no such bucket: secret-name")

    monkeypatch.setattr(default_storage, "exists", fails)
    status, said = asked(client, "/readyz")
    assert (status, said["checks"]["storage"]) == (503, "wrong")


def test_a_database_that_hangs_makes_it_unready_within_seconds_and_for_no_longer(
    tmp_path: Path,
) -> None:
    with private_postgres() as url, web_server(tmp_path, url) as address:
        wait_until_database_is("ok", address)
        servers = processes_of(url.partition("host=")[2])
        for pid in servers:
            os.kill(pid, signal.SIGSTOP)
        try:
            for _ in range(3):  # none waits longer because the first one hangs
                status, said = answer_of(address, patience_s=3 * readiness.PATIENCE_S)
                assert (status, said["checks"]["database"]) == (503, "wrong")
        finally:
            for pid in servers:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)
        wait_until_database_is("ok", address)


@contextmanager
def web_server(var: Path, database: str) -> Iterator[str]:
    """Run nothing but the web server, on a database without tables."""
    port = free_port()
    process = subprocess.Popen(
        launch.web(port).command,
        cwd=var,
        env=launch.child_env(var) | {"DATABASE_URL": database},
        stderr=subprocess.DEVNULL,
        preexec_fn=partial(die_with_parent, os.getpid()),
    )
    try:
        yield f"http://127.0.0.1:{port}/readyz"
    finally:
        process.terminate()
        process.wait(20)


def wait_until_database_is(word: str, address: str) -> None:
    end = time.monotonic() + 60
    while True:
        with suppress(httpx.TransportError):
            if answer_of(address)[1]["checks"]["database"] == word:
                return
        assert time.monotonic() < end
        time.sleep(0.1)


def answer_of(address: str, patience_s: float = 20) -> tuple[int, dict[str, Any]]:
    answer = httpx.get(address, timeout=patience_s)
    return answer.status_code, answer.json()


def processes_of(folder: str) -> list[int]:
    """Return the server whose socket is in a folder, and what it has started."""
    found = int((Path(folder) / "data" / "postmaster.pid").read_text().split()[0])
    below = Path(f"/proc/{found}/task/{found}/children").read_text().split()
    return [found, *map(int, below)]


def test_only_reading_is_answered(client: Client) -> None:
    for path in ("/healthz", "/readyz", "/metrics"):
        assert client.post(path, **ANY_NAME).status_code == 405


def test_other_addresses_still_need_a_known_name(client: Client) -> None:
    assert client.get("/healthz/", **ANY_NAME).status_code == 400


# --- Who may read the figures ------------------------------------------------------------------
def figures(client: Client, **headers: str) -> Any:
    return client.get("/metrics", **(ANY_NAME | headers))


@pytest.mark.django_db
@pytest.mark.parametrize("address", ["127.0.0.1", "172.18.0.5", "::1", "10.1.2.3"])
def test_without_a_token_neighbours_read_the_figures(client: Client, address: str) -> None:
    assert figures(client, REMOTE_ADDR=address).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"REMOTE_ADDR": "8.8.8.8"},
        {"REMOTE_ADDR": ""},
        {"REMOTE_ADDR": "172.18.0.5", "HTTP_X_FORWARDED_FOR": "10.0.0.1"},
        {"REMOTE_ADDR": "127.0.0.1", "HTTP_FORWARDED": "for=127.0.0.1"},
    ],
)
def test_without_a_token_nobody_reads_them_from_afar_or_through_a_proxy(
    client: Client, headers: dict[str, str]
) -> None:
    assert figures(client, **headers).status_code == 403


@pytest.mark.django_db
def test_with_a_token_only_the_token_counts(client: Client, settings: Settings) -> None:
    settings.METRICS_TOKEN = "f" * 40
    assert figures(client, REMOTE_ADDR="127.0.0.1").status_code == 403
    assert figures(client, HTTP_AUTHORIZATION="Bearer wrong").status_code == 403
    right = figures(client, HTTP_AUTHORIZATION=f"Bearer {'f' * 40}", REMOTE_ADDR="8.8.8.8")
    assert right.status_code == 200
