"""What pages say and to whom, asked without a browser."""

import json
import uuid
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils.timezone import now

from competitions.models import ImageRole, LeaderboardEntry, ReferenceImage
from competitions.services import publish_entry
from evaluation.models import EvaluationRun
from styletransfer.values import ExtractorPin
from submissions.models import Submission
from submissions.states import Status
from tests.factories import (
    make_competition,
    make_phase,
    make_scored_submission,
    make_submission,
    make_team,
    make_user,
)

pytestmark = pytest.mark.django_db


def read(client: Client, url: str, status: int = 200) -> str:
    response = client.get(url)
    assert response.status_code == status
    return response.content.decode()


def address_of_output(submission: Submission, position: int = 0) -> str:
    return reverse("output", args=[submission.pk, position])


def test_an_empty_site_says_so(client: Client) -> None:
    assert "No competition yet" in read(client, reverse("home"))


def test_the_list_shows_published_competitions_with_their_state(client: Client) -> None:
    soon = make_competition(title="Coming")
    make_phase(competition=soon, opens_at=now() + timedelta(days=2), closes_at=None)
    over = make_competition(title="Gone")
    make_phase(
        competition=over, opens_at=now() - timedelta(days=9), closes_at=now() - timedelta(days=1)
    )
    make_competition(title="Secret draft", published_at=None)
    text = read(client, reverse("home"))
    assert "Coming" in text
    assert "Opens soon" in text
    assert "Gone" in text
    assert "Closed" in text
    assert "Secret draft" not in text


def test_the_list_counts_teams_and_submissions_each_once(client: Client) -> None:
    phase = make_phase()
    other = make_phase(competition=phase.competition)
    team = make_team(make_user(), phase=phase)
    make_team(phase=phase, is_baseline=True)
    for each in (phase, other):
        make_submission(phase=each, team=team)
        make_submission(phase=each, team=team)
    text = read(client, reverse("home"))
    assert "2 phases" in text
    assert "1 team<" in text
    assert "4 submissions" in text


def test_the_list_shows_the_leaders_output_only_where_pairs_are_public(client: Client) -> None:
    shown = make_scored_submission()
    hidden = make_scored_submission(phase=make_phase(pairs_public=False))
    text = read(client, reverse("home"))
    assert address_of_output(shown) in text
    assert str(hidden.pk) not in text


@pytest.mark.parametrize(("direction", "best"), [("lower", 1.0), ("higher", 3.0)])
def test_the_leader_is_the_best_in_the_phases_direction(
    client: Client, direction: str, best: float
) -> None:
    phase = make_phase(ranking_direction=direction)
    entered = {value: make_scored_submission(phase=phase, value=value) for value in (1.0, 2.0, 3.0)}
    text = read(client, reverse("home"))
    assert [value for value, each in entered.items() if str(each.pk) in text] == [best]


def test_an_unpublished_competition_is_for_its_organizers(client: Client) -> None:
    organizer = make_user()
    draft = make_competition(published_at=None)
    draft.organizers.add(organizer)
    read(client, draft.get_absolute_url(), 404)
    client.force_login(organizer)
    assert "not published" in read(client, draft.get_absolute_url())


def test_the_phase_shown_is_the_one_asked_for_or_an_open_one(client: Client) -> None:
    past = make_phase(
        name="Past", opens_at=now() - timedelta(days=9), closes_at=now() - timedelta(days=1)
    )
    make_phase(competition=past.competition, name="Present", description="Send yours.")
    assert "Send yours." in read(client, past.competition.get_absolute_url())
    assert "Send yours." not in read(client, past.get_absolute_url())
    elsewhere = f"{past.competition.get_absolute_url()}?phase={make_phase().pk}"
    read(client, elsewhere, 404)


def test_the_description_is_markdown_and_cannot_bring_scripts(client: Client) -> None:
    hostile = "**bold** <script>alert(1)</script> [x](javascript:alert(1)) ![i](https://e.org/i)"
    phase = make_phase(competition=make_competition(description=hostile))
    text = read(client, phase.get_absolute_url())
    assert "<strong>bold</strong>" in text
    assert "<script>alert" not in text
    assert 'href="javascript:' not in text
    assert "https://e.org/i" not in text


def test_equal_values_share_a_rank_and_the_unranked_say_why(client: Client) -> None:
    phase = make_phase()
    for _ in range(2):
        make_scored_submission(phase=phase, value=1.0)
    make_scored_submission(phase=phase, value=2.0)
    last = make_scored_submission(phase=phase, value=0.5)
    LeaderboardEntry.objects.filter(submission_id=last.pk).delete()
    publish_entry(
        phase=phase,
        team=last.team,
        submission_id=last.pk,
        scores={"content": {"value": 1.0, "low": None, "high": None}},
        submitted_at=now(),
    )
    text = read(client, phase.get_absolute_url())
    ranks = [text.count(f'class="rank rank-{rank}"') for rank in (1, 2, 3, 4)]
    assert ranks == [2, 0, 1, 0]
    assert "The ranking metric is missing." in text


def test_the_board_marks_baselines_and_names_stand_in_weights(client: Client) -> None:
    phase = make_phase()
    make_scored_submission(phase=phase, team=make_team(phase=phase, is_baseline=True))
    text = read(client, phase.get_absolute_url())
    assert "baseline" in text
    assert "vgg19-surrogate-1" in text
    assert "Stand-in weights" in text
    assert "stand-in weights: inception-surrogate-1, lpips-surrogate-1, vgg19-surrogate-1" in read(
        client, "/"
    )
    phase.extractors = {"vgg": ExtractorPin("vgg19", "0" * 64)}
    phase.save()
    assert "Stand-in weights" not in read(client, phase.get_absolute_url())
    assert "stand-in weights" not in read(client, "/")


def test_a_board_that_has_not_changed_is_not_sent_again(client: Client) -> None:
    phase = make_phase()
    make_scored_submission(phase=phase, value=2.0)
    url = reverse("board", args=[phase.pk])
    version = client.get(url).context["board"].version
    assert client.get(url, {"seen": version}).status_code == 204
    make_scored_submission(phase=phase, value=1.0)
    assert client.get(url, {"seen": version}).status_code == 200


@pytest.mark.parametrize("status", [Status.CHECKING, Status.QUEUED, Status.RUNNING, Status.FAILED])
def test_others_learn_nothing_of_a_submission_until_it_is_scored(
    client: Client, status: Status
) -> None:
    submission = make_submission(status=status)
    client.force_login(make_user())
    for name in ("submission", "submission-live", "score-card"):
        read(client, reverse(name, args=[submission.pk]), 404)
    assert client.post(reverse("submission-cancel", args=[submission.pk])).status_code == 404


def test_an_unknown_submission_is_not_found(client: Client) -> None:
    assert "There is nothing here" in read(client, reverse("submission", args=[uuid.uuid4()]), 404)


def test_polling_goes_on_until_the_submission_has_ended(client: Client) -> None:
    member = make_user()
    phase = make_phase()
    team = make_team(member, phase=phase)
    client.force_login(member)
    for status, expected in [
        (Status.CHECKING, 200),
        (Status.QUEUED, 200),
        (Status.RUNNING, 200),
        (Status.REJECTED, 286),
        (Status.FAILED, 286),
        (Status.CANCELLED, 286),
        (Status.SCORED, 286),
    ]:
        submission = make_submission(phase=phase, team=team, status=status)
        response = client.get(reverse("submission-live", args=[submission.pk]))
        assert response.status_code == expected, status
        assert ("hx-trigger" in response.content.decode()) == (expected == 200)


def test_a_failure_is_told_in_words_with_its_code(client: Client) -> None:
    member = make_user()
    phase = make_phase()
    submission = make_submission(
        phase=phase,
        team=make_team(member, phase=phase),
        status=Status.FAILED,
        failure_code="too_slow",
        failure_facts={"limit_s": 77},
    )
    client.force_login(member)
    text = read(client, submission.get_absolute_url())
    assert "did not finish within 77 seconds" in text
    assert "<code>too_slow</code>" in text


def test_log_and_file_are_for_the_team_and_the_organizers(client: Client) -> None:
    member, organizer = make_user(), make_user()
    phase = make_phase()
    phase.competition.organizers.add(organizer)
    submission = make_scored_submission(
        phase=phase, team=make_team(member, phase=phase), file_name="painter.onnx"
    )
    EvaluationRun.objects.filter(submission=submission).update(log="layer 3 loaded")
    secrets = ("layer 3 loaded", "painter.onnx", submission.sha256)
    for user, expected in [(None, False), (make_user(), False), (member, True), (organizer, True)]:
        client.logout()
        if user:
            client.force_login(user)
        text = read(client, submission.get_absolute_url())
        assert [secret in text for secret in secrets] == [expected] * 3


def test_hidden_pairs_show_in_no_page_card_or_picture(client: Client) -> None:
    organizer, member = make_user(), make_user()
    phase = make_phase(pairs_public=False)
    phase.competition.organizers.add(organizer)
    submission = make_scored_submission(phase=phase, team=make_team(member, phase=phase))
    card = {"scores": {"total": {"value": 1.0}}, "per_pair": {"total": [1.0, 1.0]}}
    EvaluationRun.objects.filter(submission=submission).update(card=card)
    pair = phase.reference_set.pairs.all()[0]
    pictures = [
        address_of_output(submission),
        reverse("reference-image", args=[pair.content_id]),
        reverse("reference-image", args=[pair.style_id]),
    ]
    card_url = reverse("score-card", args=[submission.pk])
    for user in (None, make_user(), member):
        client.logout()
        if user:
            client.force_login(user)
        text = read(client, submission.get_absolute_url())
        text += read(client, phase.get_absolute_url())
        assert "The pairs are hidden" in text
        assert ".png" not in text
        assert json.loads(read(client, card_url)) == {"scores": card["scores"]}
        for picture in pictures:
            assert client.get(picture).status_code == 404
    client.force_login(organizer)
    assert pictures[0] in read(client, submission.get_absolute_url())
    assert json.loads(read(client, card_url)) == card
    assert [client.get(picture).status_code for picture in pictures] == [200] * 3


def test_references_for_fid_are_for_organizers_only(client: Client) -> None:
    organizer = make_user()
    phase = make_phase(pairs_public=True)
    phase.competition.organizers.add(organizer)
    images = ReferenceImage.objects.filter(reference_set=phase.reference_set)
    real = reverse("reference-image", args=[images.filter(role=ImageRole.REAL)[0].pk])
    assert client.get(real).status_code == 404
    client.force_login(organizer)
    assert client.get(real).status_code == 200


def test_pictures_are_png_and_kept_by_the_browser(client: Client) -> None:
    submission = make_scored_submission()
    content = submission.phase.reference_set.pairs.all()[0].content
    response = client.get(reverse("reference-image", args=[content.pk]))
    assert b"".join(response.streaming_content).startswith(b"\x89PNG")  # type: ignore[attr-defined]
    assert response["Content-Type"] == "image/png"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert "immutable" in response["Cache-Control"]
    assert "private" in response["Cache-Control"]
    again = client.get(
        reverse("reference-image", args=[content.pk]), headers={"if-none-match": response["ETag"]}
    )
    assert again.status_code == 304
    assert "no-cache" in client.get(address_of_output(submission))["Cache-Control"]


def test_only_own_submissions_are_cancelled_and_only_by_post(client: Client) -> None:
    member, stranger = make_user(), make_user()
    phase = make_phase()
    submission = make_submission(
        phase=phase, team=make_team(member, phase=phase), status=Status.QUEUED
    )
    url = reverse("submission-cancel", args=[submission.pk])
    client.force_login(stranger)
    assert client.post(url).status_code == 404
    client.force_login(member)
    assert client.get(url).status_code == 405
    assert client.post(url).status_code == 302
    submission.refresh_from_db()
    assert submission.status == Status.CANCELLED
    assert "nothing left to cancel" in client.post(url, follow=True).content.decode()


def test_errors_are_pages_of_the_site_without_a_stack_trace(client: Client) -> None:
    strict = Client(enforce_csrf_checks=True, raise_request_exception=False)
    assert "There is nothing here" in read(client, "/nowhere/", 404)
    expired = strict.post(reverse("account_login"), {"login": "a", "password": "b"})
    assert expired.status_code == 403
    assert "The form has expired" in expired.content.decode()
    unknown_host = strict.get("/", headers={"host": "elsewhere.example"})
    assert unknown_host.status_code == 400
    assert "Traceback" not in unknown_host.content.decode()


def test_a_bug_shows_the_page_for_it(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_args: object, **_options: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr("competitions.showcase.listed_competitions", fail)
    client.raise_request_exception = False
    text = read(client, reverse("home"), 500)
    assert "Something broke on our side" in text
    assert "secret detail" not in text
