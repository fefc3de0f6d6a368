"""The board as a file: every row, exact numbers, nothing that a spreadsheet would run."""

import csv
import io
import math

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils.timezone import now

from competitions.models import Phase
from competitions.services import publish_entry
from competitions.spreadsheets import disarm
from tests.factories import (
    make_competition,
    make_entry,
    make_phase,
    make_recipe,
    make_submission,
    make_team,
)

pytestmark = pytest.mark.django_db


def rows_of(client: Client, phase: Phase) -> list[dict[str, str]]:
    response = client.get(reverse("board-csv", args=[phase.pk]))
    assert response.status_code == 200
    assert response.content.startswith(b"\xef\xbb\xbf")
    return list(csv.DictReader(io.StringIO(response.content.decode("utf-8-sig"))))


def test_every_row_of_the_board_is_in_the_file_best_first(client: Client) -> None:
    phase = make_phase()
    for value in range(60):
        make_entry(phase, 60.0 - value)
    rows = rows_of(client, phase)
    assert [row["rank"] for row in rows] == [str(rank) for rank in range(1, 61)]
    assert len({row["submission"] for row in rows}) == 60


def test_numbers_come_back_as_they_are_stored(client: Client) -> None:
    phase = make_phase(recipe=make_recipe(metrics=["total", "content"]))
    exact = math.pi / 1e7
    submission = make_submission(phase=phase, status="scored")
    publish_entry(
        phase=phase,
        team=submission.team,
        submission_id=submission.pk,
        scores={"total": {"value": exact, "low": 0, "high": 1 / 3}, "content": {"value": None}},
        submitted_at=now(),
    )
    (row,) = rows_of(client, phase)
    assert float(row["total"]) == exact
    assert float(row["total_high"]) == 1 / 3
    assert row["total_low"] == "0"
    assert [row["content"], row["content_low"], row["content_high"]] == ["", "", ""]
    assert row["submission"] == str(submission.pk)
    assert row["submitted_at"].endswith("+00:00")


def test_the_unranked_have_no_rank_and_the_reason(client: Client) -> None:
    phase = make_phase()
    team = make_team(phase=phase, is_baseline=True)
    submission = make_submission(phase=phase, team=team, status="scored")
    publish_entry(
        phase=phase, team=team, submission_id=submission.pk, scores={}, submitted_at=now()
    )
    (row,) = rows_of(client, phase)
    assert (row["rank"], row["unranked_reason"]) == ("", "missing")
    assert row["is_baseline"] == "true"


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", " =", "＝", "＋", "－", "＠"])  # noqa: RUF001 - full-width on purpose
def test_no_team_name_is_a_formula(client: Client, start: str) -> None:
    phase = make_phase()
    name = f'{start}HYPERLINK("https://example.org")'
    make_entry(phase, 1.0, name=name)
    (row,) = rows_of(client, phase)
    assert row["team"] == f"'{name}"


def test_other_names_stay_as_they_are(client: Client) -> None:
    for name in ("墨与像素", "Anna-Lena", 'a "quoted", name', "1+1"):
        assert disarm(name) == name
    phase = make_phase()
    make_entry(phase, 1.0, name='a, "b"\nc')
    assert rows_of(client, phase)[0]["team"] == 'a, "b"\nc'


def test_the_file_is_an_attachment_and_only_for_who_may_know_the_phase(client: Client) -> None:
    phase = make_phase()
    response = client.get(reverse("board-csv", args=[phase.pk]))
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    assert response["Content-Disposition"].startswith('attachment; filename="board-')
    draft = make_phase(competition=make_competition(published_at=None))
    assert client.get(reverse("board-csv", args=[draft.pk])).status_code == 404


def test_a_file_takes_as_many_queries_for_50_rows_as_for_1(client: Client) -> None:
    phase = make_phase()
    make_entry(phase, 1.0)
    with CaptureQueriesContext(connection) as one:
        rows_of(client, phase)
    for value in range(49):
        make_entry(phase, value)
    with CaptureQueriesContext(connection) as fifty:
        assert len(rows_of(client, phase)) == 50
    assert len(fifty) == len(one)
