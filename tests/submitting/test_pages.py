"""A submission's page, its pictures, its log, and the list of one's own submissions."""

import io
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils.timezone import now
from PIL import Image

from arena.accounts.models import User
from competitions.models import LeaderboardEntry, Phase, ReferenceImage
from competitions.templatetags.scores import MINUS
from evaluation.models import EvaluationRun, ImageScore, Outcome, Output, Stage
from submissions.models import Exclusion, Submission
from submissions.states import Status
from tests.factories import (
    make_competition,
    make_phase,
    make_recipe,
    make_reference_set,
    make_scored_submission,
    make_submission,
    make_team,
    make_user,
)

pytestmark = pytest.mark.django_db


def client_of(user: User | None) -> Client:
    client = Client()
    if user:
        client.force_login(user)
    return client


class People:
    """Everybody who may want to see a submission."""

    def __init__(self, phase: Phase) -> None:
        self.member, self.teammate, self.organizer, self.rival = (make_user() for _ in range(4))
        phase.competition.organizers.add(self.organizer)
        self.team = make_team(self.member, self.teammate, phase=phase)
        make_team(self.rival, phase=phase)
        other = make_user()
        make_competition().organizers.add(other)
        self.insiders = [self.member, self.teammate, self.organizer]
        self.outsiders = [None, self.rival, make_user(), other]


@pytest.fixture
def phase() -> Phase:
    return make_phase()


@pytest.fixture
def people(phase: Phase) -> People:
    return People(phase)


def text_of(user: User | None, address: str, status: int = 200) -> str:
    response = client_of(user).get(address)
    assert response.status_code == status, address
    return response.content.decode()


# --- Who sees what --------------------------------------------------------------------------------
def test_the_log_is_for_the_team_and_the_organizers(phase: Phase, people: People) -> None:
    submission = make_scored_submission(phase=phase, team=people.team)
    EvaluationRun.objects.update(log="layer 3 loaded")
    address = reverse("submission-log", args=[submission.pk])
    for user in people.outsiders:
        assert client_of(user).get(address).status_code == 404
    for user in people.insiders:
        response = client_of(user).get(address)
        assert "layer 3 loaded" in response.content.decode()
        assert "Attempt 1: Evaluation, Passed" in response.content.decode()
        assert response["Content-Type"] == "text/plain; charset=utf-8"
        assert response["Content-Disposition"].startswith("attachment")


def test_cancelling_is_for_the_team_and_the_organizers(phase: Phase, people: People) -> None:
    for user in (*people.outsiders, *people.insiders):
        submission = make_submission(phase=phase, team=people.team, status=Status.QUEUED)
        client_of(user).post(reverse("submission-cancel", args=[submission.pk]))
        submission.refresh_from_db()
        expected = Status.CANCELLED if user in people.insiders else Status.QUEUED
        assert submission.status == expected


def exclude(submission: Submission, how: Exclusion) -> None:
    Submission.objects.filter(pk=submission.pk).update(
        exclusion=how, exclusion_reason="Trained on the hidden pairs.", excluded_at=now()
    )
    LeaderboardEntry.objects.filter(submission_id=submission.pk).delete()


def test_a_hidden_submission_is_there_for_the_team_and_the_organizers_only(
    phase: Phase, people: People
) -> None:
    submission = make_scored_submission(phase=phase, team=people.team)
    exclude(submission, Exclusion.HIDDEN)
    addresses = [
        submission.get_absolute_url(),
        *(reverse(name, args=[submission.pk]) for name in ("score-card", "api-submission")),
        *(reverse(name, args=[submission.pk, 0]) for name in ("output", "output-thumbnail")),
    ]
    for user in people.outsiders:
        for address in addresses:
            assert client_of(user).get(address).status_code == 404, address
    for user in people.insiders:
        for address in addresses:
            assert client_of(user).get(address).status_code == 200, address
        assert "Trained on the hidden pairs." in text_of(user, submission.get_absolute_url())


def test_a_disqualified_submission_is_shown_with_the_reason(phase: Phase, people: People) -> None:
    submission = make_scored_submission(phase=phase, team=people.team)
    exclude(submission, Exclusion.DISQUALIFIED)
    for user in (*people.outsiders, *people.insiders):
        text = text_of(user, submission.get_absolute_url())
        assert "have disqualified this submission" in text
        assert "Trained on the hidden pairs." in text
        assert "It is off the board." in text


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (Status.CHECKING, 200),
        (Status.QUEUED, 200),
        (Status.RUNNING, 200),
        (Status.PLATFORM_FAULT, 200),
        (Status.FAILED, 404),
        (Status.CANCELLED, 404),
        (Status.WITHDRAWN, 404),
    ],
)
@pytest.mark.parametrize("was_scored", [True, False])
def test_strangers_go_on_seeing_what_is_scored_again_until_that_fails(
    status: Status, expected: int, was_scored: bool
) -> None:
    submission = make_submission(status=status, scored_at=now() if was_scored else None)
    text_of(make_user(), submission.get_absolute_url(), expected if was_scored else 404)


# --- Pictures -------------------------------------------------------------------------------------
def bytes_of(user: User | None, address: str) -> tuple[bytes, str]:
    response = client_of(user).get(address)
    assert response.status_code == 200, address
    content = b"".join(response.streaming_content)  # type: ignore[attr-defined]
    return content, response["Content-Type"]


def test_thumbnails_are_small_webp_pictures(phase: Phase) -> None:
    submission = make_scored_submission(phase=phase)
    content, kind = bytes_of(None, reverse("output-thumbnail", args=[submission.pk, 0]))
    assert kind == "image/webp"
    picture = Image.open(io.BytesIO(content))
    assert picture.format == "WEBP"
    assert max(picture.size) <= 320


def test_a_row_without_a_thumbnail_is_shown_by_its_png(phase: Phase) -> None:
    submission = make_scored_submission(phase=phase)
    Output.objects.update(thumbnail="")
    pair = phase.reference_set.pairs.all()[0]
    for address in (
        reverse("output-thumbnail", args=[submission.pk, 0]),
        reverse("reference-thumbnail", args=[pair.content_id]),
    ):
        content, kind = bytes_of(None, address)
        assert (content[:4], kind) == (b"\x89PNG", "image/png")
        assert "no-cache" in client_of(None).get(address)["Cache-Control"]


def test_thumbnails_are_not_there_where_the_pictures_are_not(people: People) -> None:
    hidden = make_phase(competition=make_competition(), pairs_public=False)
    people = People(hidden)
    submission = make_scored_submission(phase=hidden, team=people.team)
    images = list(ReferenceImage.objects.filter(reference_set=hidden.reference_set))
    couples = [
        (reverse("output", args=[submission.pk, 0]), "output-thumbnail"),
        *((reverse("reference-image", args=[image.pk]), "") for image in images),
    ]
    for picture, _name in couples:
        thumbnail = picture.removesuffix(".png") + ".webp"
        for user in (*people.outsiders, people.member, people.teammate):
            assert client_of(user).get(picture).status_code == 404
            assert client_of(user).get(thumbnail).status_code == 404
        assert client_of(people.organizer).get(thumbnail).status_code == 200


# --- Gallery --------------------------------------------------------------------------------------
def pairs_shown(address: str) -> list[int]:
    gallery = client_of(None).get(address).context["gallery"]
    return [tile.number for tile in gallery.tiles]


def test_pictures_are_sorted_by_any_value_of_theirs(phase: Phase) -> None:
    phase = make_phase(reference_set=make_reference_set(pairs=3))
    submission = make_scored_submission(phase=phase)
    for position, value in enumerate((2.0, 3.0, 1.0)):
        ImageScore.objects.filter(pair__position=position, metric="style").update(value=value)
    url = submission.get_absolute_url()
    assert pairs_shown(url) == [1, 2, 3]
    assert pairs_shown(f"{url}?sort=pair&order=desc") == [3, 2, 1]
    assert pairs_shown(f"{url}?sort=style") == [3, 1, 2]
    assert pairs_shown(f"{url}?sort=style&order=desc") == [2, 1, 3]
    assert pairs_shown(f"{url}?sort=fid_pytorch") == [1, 2, 3]
    assert pairs_shown(f"{url}?sort=nonsense&order=up&page=99") == [1, 2, 3]
    ImageScore.objects.filter(pair__position=0, metric="style").delete()
    assert pairs_shown(f"{url}?sort=style") == [3, 2, 1]
    assert pairs_shown(f"{url}?sort=style&order=desc") == [2, 3, 1]
    text = text_of(None, f"{url}?sort=style&order=desc")
    assert "?sort=style&amp;order=asc#pictures" in text


def test_a_long_gallery_has_pages_that_keep_the_order() -> None:
    phase = make_phase(reference_set=make_reference_set(pairs=70))
    url = make_scored_submission(phase=phase).get_absolute_url()
    assert len(pairs_shown(url)) == 60
    assert pairs_shown(f"{url}?page=2") == list(range(61, 71))
    text = text_of(None, f"{url}?sort=pair&order=desc")
    assert "?sort=pair&amp;order=desc&amp;page=2#pictures" in text
    assert pairs_shown(f"{url}?sort=pair&order=desc&page=2") == list(range(10, 0, -1))


# --- Result and stages ----------------------------------------------------------------------------
def test_a_result_is_compared_with_the_teams_best_before(phase: Phase, people: People) -> None:
    def enter(value: float, hours_ago: int) -> Submission:
        return make_scored_submission(
            phase=phase,
            team=people.team,
            value=value,
            created_at=now() - timedelta(hours=hours_ago),
        )

    first, best, excluded, last = enter(5.0, 9), enter(3.0, 8), enter(1.0, 7), enter(2.0, 6)
    exclude(excluded, Exclusion.DISQUALIFIED)
    enter(0.5, 5)
    make_scored_submission(phase=phase, value=0.1, created_at=now() - timedelta(hours=10))
    text = text_of(None, last.get_absolute_url())
    assert f"{MINUS}1.000 better" in " ".join(text.split())
    assert best.get_absolute_url() in text
    assert "team's best submission before" not in text_of(None, first.get_absolute_url())
    worse = enter(4.0, 2)
    assert "+3.500 worse" in " ".join(text_of(None, worse.get_absolute_url()).split())


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"status": Status.CHECKING}, "done now ahead ahead ahead"),
        ({"status": Status.REJECTED}, "done failed ahead ahead ahead"),
        ({"status": Status.QUEUED, "checked_at": now()}, "done done now ahead ahead"),
        ({"status": Status.RUNNING, "checked_at": now()}, "done done done now ahead"),
        ({"status": Status.FAILED, "checked_at": now()}, "done done done failed ahead"),
        ({"status": Status.SCORED}, "done done done done done"),
        ({"status": Status.CANCELLED}, "done stopped ahead ahead ahead"),
        ({"status": Status.CANCELLED, "checked_at": now()}, "done done stopped ahead ahead"),
        ({"status": Status.PLATFORM_FAULT}, "done paused ahead ahead ahead"),
        ({"status": Status.PLATFORM_FAULT, "checked_at": now()}, "done done paused ahead ahead"),
    ],
)
def test_the_stages_show_how_far_it_came(
    phase: Phase, people: People, fields: dict[str, object], expected: str
) -> None:
    submission = make_submission(phase=phase, team=people.team, **fields)
    response = client_of(people.member).get(submission.get_absolute_url())
    assert [stage.progress for stage in response.context["stages"]] == expected.split()


# --- One's own submissions ------------------------------------------------------------------------
MINE = "my-submissions"


def shown(user: User, **filters: str | int) -> list[Submission]:
    rows = client_of(user).get(reverse(MINE), filters).context["rows"]
    return [row.submission for row in rows]


def test_the_list_holds_what_ones_teams_submitted_and_nothing_else(
    phase: Phase, people: People
) -> None:
    own = [
        make_submission(phase=phase, team=people.team, status=status)
        for status in (Status.REJECTED, Status.QUEUED)
    ]
    make_scored_submission(phase=phase)
    elsewhere = make_phase()
    more = make_scored_submission(phase=elsewhere, team=make_team(people.member, phase=elsewhere))
    assert set(shown(people.member)) == {*own, more}
    assert set(shown(people.teammate)) == set(own)
    assert client_of(None).get(reverse(MINE)).status_code == 302
    assert "Nothing submitted yet" in text_of(people.rival, reverse(MINE))


def test_the_list_is_narrowed_by_competition_phase_and_state(phase: Phase, people: People) -> None:
    second = make_phase(competition=phase.competition)
    elsewhere = make_phase()
    team = make_team(people.member, phase=elsewhere)
    queued = make_submission(phase=phase, team=people.team, status=Status.QUEUED)
    scored = make_scored_submission(phase=second, team=people.team)
    third = make_scored_submission(phase=elsewhere, team=team)
    slug = phase.competition.slug
    assert set(shown(people.member, competition=slug)) == {queued, scored}
    assert shown(people.member, phase=second.pk) == [scored]
    assert shown(people.member, state="active") == [queued]
    assert set(shown(people.member, state="scored")) == {scored, third}
    assert shown(people.member, state="scored", competition=slug) == [scored]
    assert len(shown(people.member, state="nonsense", phase="x")) == 3
    text = text_of(people.member, f"{reverse(MINE)}?state=failed")
    assert "None is like that" in text


def test_a_row_tells_score_rank_and_picture(phase: Phase, people: People) -> None:
    make_scored_submission(phase=phase, value=1.0)
    best = make_scored_submission(phase=phase, team=people.team, value=2.0)
    make_scored_submission(phase=phase, team=people.team, value=3.0)
    rows = client_of(people.member).get(reverse(MINE)).context["rows"]
    assert [(row.value, row.rank) for row in rows] == [(3.0, None), (2.0, 2)]
    assert reverse("output-thumbnail", args=[best.pk, 0]) in text_of(people.member, reverse(MINE))
    Phase.objects.update(pairs_public=False)
    assert "/outputs/" not in text_of(people.member, reverse(MINE))


def test_the_list_refreshes_itself_while_something_moves(phase: Phase, people: People) -> None:
    submission = make_submission(phase=phase, team=people.team, status=Status.QUEUED)
    client = client_of(people.member)
    page = client.get(reverse(MINE))
    assert "hx-trigger" in page.content.decode()
    version = page.context["version"]
    refresh = {"HX-Request": "true"}
    seen = {"seen": version}
    assert client.get(reverse(MINE), seen, headers=refresh).status_code == 204
    assert submission.move(Status.CANCELLED, finished_at=now())
    answer = client.get(reverse(MINE), seen, headers=refresh)
    assert answer.status_code == 200
    assert "Cancelled" in answer.content.decode()
    assert "<html" not in answer.content.decode()
    assert "hx-trigger" not in answer.content.decode()


# --- Queries --------------------------------------------------------------------------------------
def count_queries(client: Client, url: str) -> int:
    with CaptureQueriesContext(connection) as queries:
        assert client.get(url).status_code == 200
    return len(queries)


def test_the_list_needs_the_same_queries_however_long() -> None:
    user = make_user()
    client = client_of(user)
    recipe, references = make_recipe(), make_reference_set()

    def enter() -> None:
        phase = make_phase(recipe=recipe, reference_set=references)
        team = make_team(user, phase=phase)
        make_scored_submission(phase=phase, team=team)
        make_submission(phase=phase, team=team, status=Status.QUEUED)

    enter()
    one = count_queries(client, reverse(MINE))
    for _ in range(8):
        enter()
    assert count_queries(client, reverse(MINE)) == one


def test_a_sorted_gallery_needs_the_same_queries_however_many_pairs() -> None:
    few, many = (
        make_scored_submission(phase=make_phase(reference_set=make_reference_set(pairs=pairs)))
        for pairs in (1, 30)
    )
    client = Client()
    query = "?sort=style&order=desc"
    one = count_queries(client, few.get_absolute_url() + query)
    assert count_queries(client, many.get_absolute_url() + query) == one


def test_a_run_that_was_refused_shows_its_log_to_the_team(phase: Phase, people: People) -> None:
    submission = make_submission(phase=phase, team=people.team, status=Status.FAILED)
    EvaluationRun.objects.create(
        submission=submission,
        attempt=2,
        stage=Stage.SCORE,
        outcome=Outcome.REFUSED,
        worker="w",
        finished_at=now(),
        log="<b>stop</b>",
    )
    text = text_of(people.teammate, submission.get_absolute_url())
    assert "&lt;b&gt;stop&lt;/b&gt;" in text
    log = text_of(people.teammate, reverse("submission-log", args=[submission.pk]))
    assert "<b>stop</b>" in log
