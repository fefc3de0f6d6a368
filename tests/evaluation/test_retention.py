"""Pictures that had their time, files without rows, workers long gone; in folder and bucket."""

from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.management import call_command
from django.test import Client
from django.utils import translation
from django.utils.timezone import now
from pytest_django import Settings

from competitions.models import LeaderboardEntry
from evaluation import housekeeping, retention, stored_files
from evaluation.models import Output, Score, Worker
from evaluation.presence import Presence
from submissions.models import Submission
from submissions.states import Status
from tests.factories import make_phase, make_scored_submission, make_team
from tests.object_storage import use_object_storage

pytestmark = pytest.mark.django_db
LONG_AGO = timedelta(days=100)


@pytest.fixture(params=["folder", "bucket"], autouse=True)
def _storage(request: pytest.FixtureRequest, settings: Settings) -> None:
    settings.OUTPUTS_KEPT_FOR, settings.OUTPUTS_KEPT = timedelta(days=30), 1
    if request.param == "bucket":
        use_object_storage(settings, request.getfixturevalue("s3_url"))


@pytest.fixture
def submissions() -> list[Submission]:
    """Return four of a team, all old; the second is its best, the last its latest."""
    phase = make_phase()
    team = make_team(phase=phase)
    made = []
    for number, value in enumerate((3.0, 1.0, 4.0, 2.0)):
        submission = make_scored_submission(phase=phase, team=team)
        age_by(submission, LONG_AGO - timedelta(days=number))
        Score.objects.filter(run__submission=submission).update(value=value)
        made.append(submission)
    LeaderboardEntry.objects.filter(team=team).update(submission_id=made[1].pk)
    return made


def age_by(submission: Submission, age: timedelta) -> None:
    Submission.objects.filter(pk=submission.pk).update(created_at=now() - age)
    submission.runs.update(started_at=now() - age, finished_at=now() - age)


def files_of(submission: Submission) -> list[str]:
    rows = Output.objects.filter(run__submission=submission).values_list("file", "thumbnail")
    return [name for row in rows for name in row if name]


def facts(submission: Submission) -> Any:
    run = submission.runs.get()
    return run.card, list(run.scores.values_list("metric", "value")), run.image_scores.count()


def test_old_pictures_go_but_for_the_best_the_latest_and_what_a_board_shows(
    submissions: list[Submission],
) -> None:
    stored = [files_of(each) for each in submissions]
    before = [facts(each) for each in submissions]
    assert all(len(names) >= 2 for names in stored)
    assert retention.remove_old_outputs() == 2
    assert [bool(files_of(each)) for each in submissions] == [False, True, False, True]
    there = [[default_storage.exists(name) for name in names] for names in stored]
    assert [set(found) for found in there] == [{False}, {True}, {False}, {True}]
    assert [facts(each) for each in submissions] == before, "scores, cards and hashes stay"
    assert retention.remove_old_outputs() == 0


def test_what_is_young_worked_on_or_a_baselines_stays(submissions: list[Submission]) -> None:
    young, best, moving, _latest = submissions
    young.runs.update(finished_at=now() - timedelta(days=2))
    Submission.objects.filter(pk=moving.pk).update(
        status=Status.QUEUED, queued_at=now(), finished_at=None
    )
    assert retention.remove_old_outputs() == 0
    Submission.objects.filter(pk=moving.pk).update(status=Status.SCORED, finished_at=now())
    team = best.team
    team.is_baseline = True
    team.save()
    assert retention.remove_old_outputs() == 0
    team.is_baseline = False
    team.save()
    assert retention.remove_old_outputs() == 1


def test_without_a_time_everything_stays(submissions: list[Submission], settings: Settings) -> None:
    settings.OUTPUTS_KEPT_FOR = timedelta(0)
    assert retention.remove_old_outputs() == 0


def test_a_round_has_a_bound_and_the_next_goes_on(
    submissions: list[Submission], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "RUNS_AT_ONCE", 1)
    assert [retention.remove_old_outputs() for _ in range(3)] == [1, 1, 0]


def test_what_dies_between_rows_and_files_leaves_files_that_are_found_later(
    submissions: list[Submission], monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = files_of(submissions[0])

    def dies(name: str) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(default_storage, "delete", dies)
        with pytest.raises(KeyboardInterrupt):
            retention.remove_old_outputs()
    assert files_of(submissions[0]) == []
    assert all(default_storage.exists(name) for name in lost)
    assert set(lost) & set(stored_files.orphans()) == set(), "too young to be judged"
    monkeypatch.setattr(stored_files, "SAFE_AGE", timedelta(days=-1))
    assert set(stored_files.orphans()) == set(lost)


@pytest.fixture
def _no_file_is_young(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored_files, "SAFE_AGE", timedelta(days=-1))


@pytest.fixture
def strays(submissions: list[Submission], _no_file_is_young: None) -> list[str]:
    return [
        default_storage.save(name, ContentFile(b"left"))
        for name in ("outputs/2020/01/left.png", "parts/gone/1", "checkpoints/2020/01/left.bin")
    ]


def test_files_without_rows_are_listed_first_and_removed_when_asked(
    submissions: list[Submission], strays: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    foreign = default_storage.save("backups/arena.tar", ContentFile(b"not ours"))
    missing = files_of(submissions[1])[0]
    default_storage.delete(missing)
    there = [name for name in stored_files.named_files() if default_storage.exists(name)]
    call_command("stored_files")
    said = capsys.readouterr().out.splitlines()
    assert {line.split()[1] for line in said if line.startswith("orphan ")} == set(strays)
    assert missing in {line.split()[1] for line in said if line.startswith("missing ")}
    assert all(default_storage.exists(name) for name in strays)
    call_command("stored_files", "--remove")
    assert not any(default_storage.exists(name) for name in strays)
    assert default_storage.exists(foreign)
    assert all(default_storage.exists(name) for name in there)
    assert there


def test_the_sweeper_removes_them_once_a_day(strays: list[str]) -> None:
    cache.clear()
    housekeeping.tidy()
    assert not any(default_storage.exists(name) for name in strays)
    again = default_storage.save("outputs/2020/01/left.png", ContentFile(b"left"))
    housekeeping.tidy()
    assert default_storage.exists(again), "one look a day"


def test_pages_and_rest_say_that_pictures_are_gone(
    submissions: list[Submission], client: Client
) -> None:
    gone, best = submissions[0], submissions[1]
    retention.remove_old_outputs()
    for language, words in (
        ("en", "removed when their time was over"),
        ("zh-hans", "图像已按保留期限删除"),
    ):
        with translation.override(language):
            page = client.get(gone.get_absolute_url(), headers={"accept-language": language})
        assert page.status_code == 200
        assert words in page.content.decode()
        assert "img-comparison-slider role" not in page.content.decode()
    assert "removed when" not in client.get(best.get_absolute_url()).content.decode()
    for path in ("outputs/0.png", "outputs/0.webp"):
        assert client.get(f"{gone.get_absolute_url()}{path}").status_code == 404
    shown = client.get(f"/api/v1/submissions/{gone.pk}/").json()["outputs"]
    assert shown
    assert {each["url"] for each in shown} == {None}
    assert client.get(f"/api/v1/submissions/{gone.pk}/outputs/0/").status_code == 404


def test_rows_of_workers_long_gone_are_removed() -> None:
    for name in ("here", "ended", "silent", "quiet"):
        Presence(name, queues=["checks"])._register()
    week = now() - housekeeping.WORKERS_KEPT_FOR
    Worker.objects.filter(name="ended").update(ended_at=week - timedelta(minutes=1))
    Worker.objects.filter(name="silent").update(seen_at=week - timedelta(minutes=1))
    Worker.objects.filter(name="quiet").update(seen_at=week + timedelta(minutes=1))
    assert housekeeping.forget_workers() == 2
    assert set(Worker.objects.values_list("name", flat=True)) == {"here", "quiet"}
