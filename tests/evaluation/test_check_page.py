"""The first picture and what can be done with it, as a team, an organizer and a rival see it."""

import json
import re
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.test import Client
from django.utils.timezone import now

from evaluation.models import EvaluationRun, FirstPicture, Outcome, Stage
from styletransfer.proposal import Proposal, Reason
from submissions.models import Submission
from submissions.services import read_manifest
from submissions.states import Status
from tests.factories import MANIFEST, make_phase, make_png, make_submission, make_team, make_user

pytestmark = pytest.mark.django_db
HINT = {"code": "clipped", "field": "output_range", "value": "-1..1"}


class Scene:
    def __init__(self, **fields: Any) -> None:
        self.phase = make_phase()
        self.member, self.organizer = make_user(), make_user(is_staff=True)
        self.phase.competition.organizers.add(self.organizer)
        self.team = make_team(self.member, phase=self.phase)
        self.rival = make_user()
        make_team(self.rival, phase=self.phase)
        reasons = {"output_range": Reason("usual"), "channel_order": Reason("mean_colour_order")}
        proposal = Proposal(read_manifest(dict(MANIFEST)), reasons)
        self.submission = make_submission(
            phase=self.phase,
            team=self.team,
            **{
                "status": Status.QUEUED,
                "proposal": proposal.to_json(),
                "is_held": True,
                "not_before": now() + timedelta(minutes=9),
            }
            | fields,
        )
        run = EvaluationRun.objects.create(
            submission=self.submission,
            attempt=1,
            stage=Stage.CHECK,
            outcome=Outcome.PASSED,
            worker="test",
            finished_at=now(),
        )
        self.first = FirstPicture.objects.create(
            run=run,
            content=ContentFile(make_png(1), name="content.png"),
            picture=ContentFile(make_png(2), name="picture.png"),
            hints=[HINT],
        )

    def page(self, user: Any, language: str = "en") -> str:
        client = Client(headers={"accept-language": language})
        client.force_login(user)
        answer = client.get(self.submission.get_absolute_url())
        return answer.content.decode() if answer.status_code == 200 else ""

    def post(self, act: str, **data: str) -> Any:
        client = Client()
        client.force_login(self.member)
        return client.post(f"{self.submission.get_absolute_url()}{act}/", data, follow=True)


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_the_team_sees_the_picture_the_question_and_what_was_guessed(scene: Scene) -> None:
    page = scene.page(scene.member)
    assert "check/picture.png" in page
    assert "does it return values of \N{MINUS SIGN}1 to 1?" in page
    assert page.count(">guessed<") == 2
    assert "It looks right: queue it" in page
    assert "Try \N{MINUS SIGN}1 to 1" in page


def test_it_is_all_told_in_chinese_too(scene: Scene) -> None:
    page = scene.page(scene.member, "zh-hans")
    assert "第一张图" in page
    assert "它返回的取值范围是否为" in page


def test_organizers_see_it_and_change_nothing_and_rivals_see_nothing(scene: Scene) -> None:
    page = scene.page(scene.organizer)
    assert "check/picture.png" in page
    assert "queue it" not in page
    assert "Change and check again" not in page
    assert scene.page(scene.rival) == ""


def test_a_suggestion_is_tried_with_one_button(scene: Scene) -> None:
    answer = scene.post("change", output_range="-1..1")
    assert "It is checked again" in answer.content.decode()
    scene.submission.refresh_from_db()
    assert scene.submission.status == Status.CHECKING
    assert scene.submission.manifest == {**MANIFEST, "output_range": "-1..1"}


def test_a_whole_manifest_may_be_given_and_what_is_wrong_with_it_is_told(scene: Scene) -> None:
    answer = scene.post("change", manifest='{"format": "onnx"}')
    assert "This is missing" in answer.content.decode()
    answer = scene.post("change", input_range="0..9")
    assert "must be one of" in answer.content.decode()
    scene.submission.refresh_from_db()
    assert (scene.submission.status, scene.submission.manifest) == (Status.QUEUED, MANIFEST)


def test_a_multiple_can_be_changed(scene: Scene) -> None:
    scene.post("change", multiple_of="8")
    scene.submission.refresh_from_db()
    assert scene.submission.manifest["size"] == {"multiple_of": 8}


def test_going_on_is_one_button(scene: Scene) -> None:
    assert "It queues now" in scene.post("release").content.decode()
    assert not Submission.objects.get(pk=scene.submission.pk).is_held
    assert "queue it" not in scene.page(scene.member)


def test_a_rejected_file_without_a_picture_can_be_described_anew() -> None:
    scene = Scene(status=Status.REJECTED, failure_code="wrong_shapes", is_held=False)
    scene.first.delete()
    Submission.objects.update(failure_facts={"key": "a", "fits": "transformer_net (width 16)"})
    page = scene.page(scene.member)
    assert "The file fits transformer_net (width 16)" in page
    assert "Check again" in page
    assert "check/picture.png" not in page


def test_while_it_is_checked_the_last_picture_is_not_shown() -> None:
    scene = Scene(status=Status.CHECKING, is_held=False)
    assert "check/picture.png" not in scene.page(scene.member)


def test_what_it_needs_of_memory_is_shown_on_the_page_and_told_by_the_api(scene: Scene) -> None:
    measured = {"parameters": 424_899, "needed_bytes": 25 << 20, "peak_bytes": 61 << 20}
    FirstPicture.objects.update(measured=measured)
    page = scene.page(scene.member).replace("\N{NO-BREAK SPACE}", " ")
    for told in ("424,899", "Memory it needs at least", "25.0 MB", "61.0 MB"):
        assert told in page
    assert "至少需要的内存" in scene.page(scene.member, "zh-hans")
    found = api(scene, scene.member)["check"]
    assert {name: found[name] for name in measured} == measured
    assert api(scene, scene.organizer)["check"]["peak_bytes"] == 61 << 20


def test_a_check_of_before_memory_was_kept_says_nothing_of_it(scene: Scene) -> None:
    assert "Memory it" not in scene.page(scene.member)
    assert api(scene, scene.member)["check"]["needed_bytes"] is None


def reject_for_fitting(scene: Scene, **facts: Any) -> None:
    given = {**MANIFEST, "format": "state_dict", "architecture": "transformer_net"}
    given |= {"parameters": {"width": 32}, "channel_order": "BGR", "input_range": "-1..1"}
    Submission.objects.update(status=Status.CHECKING)
    Submission.objects.update(
        status=Status.REJECTED,
        failure_code="wrong_shapes",
        failure_facts={"key": "a", **facts},
        manifest=given,
        is_held=False,
        not_before=None,
        finished_at=now(),
    )
    scene.submission.refresh_from_db()


def test_the_width_that_fits_is_one_click_away(scene: Scene) -> None:
    facts = {"fits_architecture": "transformer_net", "fits_parameters": [["width", 16]]}
    reject_for_fitting(scene, **facts)
    page = scene.page(scene.member)
    assert "fit TransformerNet (fast neural style, Johnson et al. 2016), width 16." in page
    in_chinese = scene.page(scene.member, "zh-hans")
    assert "采用并重新检查" in in_chinese
    assert "宽度 16" in in_chinese
    assert "Use it and check again" not in scene.page(scene.organizer)
    sent = re.search(r'name="manifest" value="([^"]+)"', page)
    assert sent is not None
    told = api(scene, scene.member)["fitting_manifest"]
    assert json.loads(unescape(sent[1])) == told
    scene.post("change", manifest=unescape(sent[1]))
    scene.submission.refresh_from_db()
    assert (scene.submission.status, scene.submission.manifest) == (Status.CHECKING, told)
    # What no file tells is as the team had it.
    assert told["parameters"] == {"width": 16}
    assert (told["format"], told["channel_order"], told["input_range"]) == (
        *("state_dict", "BGR", "-1..1"),
    )


def test_another_architecture_that_fits_comes_with_what_is_usual_for_it(scene: Scene) -> None:
    reject_for_fitting(scene, fits_architecture="adain", fits_parameters=[["width", 8]])
    told = api(scene, scene.member)["fitting_manifest"]
    assert [each["role"] for each in told["inputs"]] == ["content", "style"]
    assert (told["input_range"], told["channel_order"]) == ("0..1", "RGB")


@pytest.mark.parametrize(
    "facts",
    [
        {},
        {"fits_architecture": "os.system", "fits_parameters": []},
        {"fits_architecture": ["adain"], "fits_parameters": 7},
        {"fits_architecture": "adain", "fits_parameters": [["width", 10**9]]},
        {"fits_architecture": "adain", "fits_parameters": [["width"]]},
        {"fits_architecture": "adain", "fits_parameters": [["width", "<b>"]]},
        {"fits_architecture": "transformer_net", "fits_parameters": [["width", 32]]},
    ],
)
def test_nothing_is_suggested_by_facts_that_are_no_manifest(
    scene: Scene, facts: dict[str, Any]
) -> None:
    reject_for_fitting(scene, **facts)
    Submission.objects.update(manifest={**scene.submission.manifest, "size": {"multiple_of": 4}})
    assert api(scene, scene.member)["fitting_manifest"] is None
    assert "Use it and check again" not in scene.page(scene.member)


def api(scene: Scene, user: Any) -> Any:
    client = Client()
    client.force_login(user)
    return client.get(f"/api/v1/submissions/{scene.submission.pk}/").json()
