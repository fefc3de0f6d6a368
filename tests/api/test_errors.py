import json
import logging
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied, RequestDataTooBig, ValidationError
from django.db import (
    DataError,
    IntegrityError,
    InterfaceError,
    OperationalError,
    ProgrammingError,
    connection,
)
from django.http import Http404, UnreadablePostError
from django.test import Client, RequestFactory
from pytest_django import Settings
from rest_framework import exceptions
from rest_framework.test import APIClient

from arena import errors
from submissions.models import Submission
from tests.api.conftest import Entrant
from tests.uploads import make_body

Enter = Callable[..., Entrant]


def check(response: Any, status: int, code: str) -> dict[str, Any]:
    assert response.status_code == status
    assert response["Content-Type"] == "application/problem+json"
    body: dict[str, Any] = json.loads(response.content)
    assert body.keys() >= {"type", "title", "status", "detail", "code"}
    assert (body["status"], body["code"]) == (status, code)
    return body


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (Http404(), 404, "not_found"),
        (PermissionDenied(), 403, "permission_denied"),
        (ValidationError("Too short."), 400, "invalid"),
        (exceptions.ValidationError({"name": ["Too short."]}), 400, "invalid"),
        (exceptions.ParseError(), 400, "parse_error"),
        (exceptions.Throttled(), 429, "throttled"),
        (exceptions.MethodNotAllowed("PUT"), 405, "method_not_allowed"),
        (exceptions.NotAcceptable(), 406, "not_acceptable"),
        (RequestDataTooBig(), 413, "too_large"),
        (UnreadablePostError(), 400, "upload_interrupted"),
        (IntegrityError("UNIQUE constraint failed"), 409, "conflict"),
        (OperationalError("database is locked"), 503, "database_unavailable"),
        (InterfaceError("connection already closed"), 503, "database_unavailable"),
        (DataError("value too long"), 400, "bad_value"),
        (OSError(28, "No space left on device"), 507, "storage_full"),
        (OSError(5, "Input/output error"), 503, "storage_unavailable"),
        (ProgrammingError("no such table: secret"), 500, "internal_error"),
        (KeyError("secret"), 500, "internal_error"),
    ],
)
def test_every_error_has_its_own_status_and_code(error: Exception, status: int, code: str) -> None:
    response = errors.to_response(error, {})
    body: Any = response.data
    assert (response.status_code, body["status"], body["code"]) == (status, status, code)
    assert len(body["detail"]) > 5
    assert "secret" not in str(body)
    assert (status in {429, 503, 507}) == ("Retry-After" in response.headers)


def test_what_was_our_fault_is_logged_with_its_cause(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        errors.to_response(KeyError("cause"), {})
    assert caplog.records[0].exc_info is not None
    caplog.clear()
    errors.to_response(Http404(), {})
    assert not caplog.records


def test_a_fact_never_hides_a_named_member() -> None:
    problem = errors.Problem(409, "already_ended", "It has ended.", {"status": "scored", "x": 1})
    assert problem.to_json()["status"] == 409
    assert problem.to_json()["x"] == 1


@pytest.mark.django_db
@pytest.mark.parametrize("method", ["get", "post", "put", "delete"])
@pytest.mark.parametrize(
    "path", ["", "nowhere/", "competitions", "phases/x/leaderboard/", "submissions/1/"]
)
def test_an_unknown_address_is_a_problem_document(method: str, path: str) -> None:
    response = getattr(APIClient(), method)(f"/api/v1/{path}")
    check(response, 404, "unknown_address")


def test_an_address_outside_the_interface_is_a_page(rf: RequestFactory) -> None:
    response = errors.page_not_found(rf.get("/nowhere/"), Http404())
    assert response["Content-Type"].startswith("text/html")
    check(errors.page_not_found(rf.get("/api/v2/"), Http404()), 404, "not_found")


@pytest.mark.django_db
def test_a_method_that_an_address_does_not_have_is_refused() -> None:
    response = APIClient().delete("/api/v1/competitions/")
    check(response, 401, "not_authenticated")
    response = APIClient().options("/api/v1/competitions/")
    assert response.status_code == 200


def test_a_foreign_host_name_is_a_problem_document_too() -> None:
    response = Client(raise_request_exception=False).get(
        "/api/v1/competitions/", headers={"Host": "evil.example"}
    )
    check(response, 400, "bad_request")


@pytest.mark.django_db(transaction=True)
def test_a_missing_table_says_nothing_about_itself(entrant: Entrant) -> None:
    table = Submission._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(f'ALTER TABLE "{table}" RENAME TO gone')
    try:
        response = entrant.client.get(entrant.url)
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f'ALTER TABLE gone RENAME TO "{table}"')
    kind = "database_unavailable" if connection.vendor == "sqlite" else "internal_error"
    check(response, 503 if connection.vendor == "sqlite" else 500, kind)
    assert "gone" not in response.text
    assert table not in response.text


@pytest.mark.django_db(transaction=True)
def test_an_error_before_any_view_is_a_problem_document(settings: Settings) -> None:
    settings.MIDDLEWARE = ["tests.api.test_errors.break_down", *settings.MIDDLEWARE]
    response = Client(raise_request_exception=False).get("/api/v1/competitions/")
    body = check(response, 500, "internal_error")
    assert "broken middleware" not in str(body)


def break_down(get_response: Any) -> Any:
    def middleware(request: Any) -> Any:
        raise RuntimeError("broken middleware")

    return middleware


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("depth", ["", "checkpoints"])
def test_a_store_that_takes_no_files_costs_nothing(
    entrant: Entrant, settings: Settings, depth: str
) -> None:
    in_the_way = Path(settings.MEDIA_ROOT) / depth
    shutil.rmtree(in_the_way, ignore_errors=True)
    in_the_way.write_text("a file where a folder should be")
    response = entrant.submit(make_body())
    check(response, 503, "storage_unavailable")
    assert int(response["Retry-After"]) > 0
    assert not Submission.objects.exists()
    in_the_way.unlink()
    assert entrant.submit(make_body()).status_code == 201


@pytest.mark.django_db(transaction=True)
def test_a_place_for_uploads_that_is_gone_costs_nothing(
    entrant: Entrant, settings: Settings, tmp_path: Path
) -> None:
    settings.FILE_UPLOAD_TEMP_DIR = tmp_path / "gone"
    check(entrant.submit(make_body()), 503, "storage_unavailable")
    assert not Submission.objects.exists()


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (OperationalError("the server closed the connection"), 503),
        (InterfaceError("connection already closed"), 503),
        (OSError(5, "Input/output error"), 503),
        (OSError(28, "No space left on device"), 507),
    ],
)
def test_a_page_that_can_come_back_says_when_without_asking_the_database(
    rf: RequestFactory, error: Exception, status: int
) -> None:
    try:
        raise error
    except type(error):
        response = errors.server_error(rf.get("/"))
    assert (response.status_code, response["Retry-After"]) == (status, "30")
    assert response["Content-Type"].startswith("text/html")
    assert "Back in a moment" in response.text  # type: ignore[attr-defined]


def test_a_page_that_broke_for_another_reason_promises_nothing(rf: RequestFactory) -> None:
    try:
        raise KeyError("secret")
    except KeyError:
        response = errors.server_error(rf.get("/"))
    assert response.status_code == 500
    assert "Retry-After" not in response


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif("connection.vendor != 'sqlite'", reason="only SQLite locks the whole file")
def test_a_database_that_stays_locked_is_busy_and_not_broken(entrant: Entrant) -> None:
    name = connection.settings_dict["NAME"]
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA busy_timeout = 100")
    other = sqlite3.connect(name, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        response = entrant.submit(make_body())
    finally:
        other.execute("ROLLBACK")
        other.close()
    check(response, 503, "database_unavailable")
    assert int(response["Retry-After"]) > 0
    assert entrant.submit(make_body()).status_code == 201
