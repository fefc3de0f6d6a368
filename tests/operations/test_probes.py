"""What machines ask of a web process, under any name and without a session."""

import json
from pathlib import Path
from typing import Any

import pytest
import redis
from django.core.files.storage import default_storage
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client
from pytest_django import DjangoAssertNumQueries, Settings

from tests.services import private_redis

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
    asked(client, "/readyz")
    with django_assert_max_num_queries(5):
        status, said = asked(client, "/readyz")
    assert (status, said["status"]) == (200, "ok")
    assert set(said["checks"]) == {"database", "migrations", "broker", "storage"}


@pytest.mark.django_db
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
