"""Whatever happens to a worker, a preparation ends once, whole, or says why it did not."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.files.base import ContentFile
from django.db.models.functions import Now
from django.utils.timezone import now

from competitions import messages
from competitions.models import (
    ImageRole,
    Preparation,
    PreparationStatus,
    ReferenceImage,
    ReferenceSet,
    ScoringRecipe,
)
from competitions.preparation_problems import CODES, Problem
from competitions.preparations import request_calibration
from evaluation import preparations, sweeper, tasks
from evaluation.demo.baselines import discriminator_bytes
from evaluation.lease import Lease
from evaluation.row_lease import RowHold, next_expiry
from styletransfer.pretrained import extractor_pin
from styletransfer.values import ExtractorPin
from tests.factories import make_competition, make_phase, make_recipe, make_user, silence
from tests.organizing.uploads import ask, bring_in, make_empty_set, pack, pictures, run

pytestmark = pytest.mark.django_db(transaction=True)
VGG = extractor_pin("vgg19-surrogate-1")


def stored(folder: str = "references") -> list[Path]:
    return [path for path in (settings.MEDIA_ROOT / folder).rglob("*") if path.is_file()]


def reload(preparation: Preparation) -> Preparation:
    return Preparation.objects.get(pk=preparation.pk)


def make_waiting(names: tuple[str, ...] = ("a.png", "b.png")) -> Preparation:
    return ask(make_empty_set(), pack(pictures(*names)))


class _Killed(BaseException):
    """Stands for SIGKILL: nothing of the attempt's own cleaning up is to run."""


@pytest.fixture
def killed_before_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the next attempt die when its files are written and its rows are not."""

    def die(*_args: Any) -> bool:
        raise _Killed

    with monkeypatch.context() as patched:
        patched.setattr(preparations, "_record_import", die)
        patched.setattr(preparations, "remove_leftovers", lambda *_, **__: None)
        waiting = make_waiting()
        with pytest.raises(_Killed):
            tasks.prepare(str(waiting.pk))


# --- Imports ------------------------------------------------------------------------------------
@pytest.mark.usefixtures("killed_before_the_end")
def test_what_a_killed_worker_had_begun_is_done_anew_and_nothing_twice() -> None:
    begun = Preparation.objects.get()
    assert begun.status == PreparationStatus.RUNNING
    assert len(stored()) == 4
    assert not ReferenceImage.objects.exists()
    silence(begun)
    assert sweeper.sweep().lost == 1
    assert reload(begun).status == PreparationStatus.WAITING
    assert run(begun).status == PreparationStatus.WAITING  # its pause is not over
    Preparation.objects.update(not_before=None)
    assert run(reload(begun)).status == PreparationStatus.DONE
    assert ReferenceImage.objects.count() == 2
    assert {Path(image.file.path) for image in ReferenceImage.objects.all()} < set(stored())
    assert len(stored()) == 4


@pytest.mark.usefixtures("killed_before_the_end")
def test_an_import_that_kills_every_worker_ends_and_leaves_no_file() -> None:
    Preparation.objects.update(faults=settings.EVALUATION_MAX_FAULTS - 1)
    silence(Preparation.objects.get())
    sweeper.sweep()
    ended = Preparation.objects.get()
    assert (ended.status, ended.problem_code) == (PreparationStatus.FAULT, "platform_fault")
    assert "on our side" in Problem(ended.problem_code, ended.problem_facts).detail
    assert stored() == []
    assert stored("uploads") == []
    assert not ended.upload


def test_an_upload_that_can_not_be_removed_keeps_nothing_else_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_permission(*_args: Any) -> None:
        raise PermissionError("not yours")

    Preparation.objects.filter(pk=make_waiting().pk).update(
        status=PreparationStatus.REJECTED, problem_code="empty_zip"
    )
    monkeypatch.setattr(sweeper, "discard_upload", no_permission)
    assert sweeper.sweep().lost == 0


def test_a_worker_that_wakes_too_late_imports_nothing() -> None:
    waiting = make_waiting()
    frozen = preparations.begin(waiting.pk)
    assert frozen is not None
    silence(frozen)
    sweeper.take_lost_preparations()
    Preparation.objects.update(not_before=None)
    assert run(waiting).status == PreparationStatus.DONE
    kept = set(stored())
    Preparation.objects.filter(pk=waiting.pk).update(upload=frozen.upload.name)
    frozen.upload.storage.save(
        str(frozen.upload.name), ContentFile(pack(pictures("c.png", seed=9)))
    )
    lease = Lease(RowHold(frozen), deadline=timedelta(minutes=1))
    assert not preparations.import_images(frozen, lease)
    assert {image.name for image in ReferenceImage.objects.all()} == {"a", "b"}
    assert set(stored()) == kept


@pytest.mark.parametrize("names", [("a.png", "b.png"), ("a.png", "folder/b.png")])
def test_a_worker_that_wakes_too_late_leaves_the_upload_to_the_next_attempt(
    names: tuple[str, ...],
) -> None:
    waiting = make_waiting(names)
    frozen = preparations.begin(waiting.pk)
    assert frozen is not None
    silence(frozen)
    sweeper.take_lost_preparations()
    with Lease(RowHold(frozen), deadline=timedelta(minutes=1)) as lease:
        tasks._prepare(frozen, lease)
    row = reload(waiting)
    assert row.status == PreparationStatus.WAITING
    assert row.upload
    assert row.upload.storage.exists(str(row.upload.name))


def test_a_second_message_finds_nothing_to_do() -> None:
    waiting = make_waiting()
    first = preparations.begin(waiting.pk)
    assert first is not None
    assert preparations.begin(waiting.pk) is None
    tasks.prepare(str(waiting.pk))
    assert reload(waiting).attempt == 1
    tasks.prepare("4711")  # no such row


def test_a_worker_that_still_renews_keeps_its_preparation() -> None:
    waiting = make_waiting()
    held = preparations.begin(waiting.pk)
    assert held is not None
    assert sweeper.take_lost_preparations() == 0
    assert held.renew(lease_expires_at=next_expiry(), progress_done=1, progress_of=2)
    row = reload(waiting)
    assert (row.progress_done, row.progress_of) == (1, 2)


def test_a_fault_of_ours_is_tried_again_after_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_disk(*_args: Any, **_options: Any) -> None:
        raise OSError("no space left")

    waiting = make_waiting()
    # Nobody reads what other tests have sent; a line of that length would get no more.
    monkeypatch.setattr(messages, "unread", lambda _queue: 0)
    with monkeypatch.context() as patched:
        patched.setattr(preparations, "_store", no_disk)
        run(waiting)
    assert (waiting.status, waiting.faults, waiting.problem_code) == ("waiting", 1, "")
    assert waiting.not_before is not None
    assert waiting.not_before > now()
    assert sweeper.resend_preparations() == 0
    Preparation.objects.update(not_before=Now())
    assert sweeper.resend_preparations() == 1
    assert run(waiting).status == PreparationStatus.DONE


def test_a_worker_that_is_to_end_gives_its_import_back(monkeypatch: pytest.MonkeyPatch) -> None:
    waiting = make_waiting()
    begun = preparations.begin(waiting.pk)
    assert begun is not None
    with Lease(RowHold(begun), deadline=timedelta(minutes=1), is_ending=lambda: True) as lease:
        tasks._prepare(begun, lease)
    row = reload(waiting)
    assert (row.status, row.faults, row.attempt) == (PreparationStatus.WAITING, 0, 1)
    assert stored() == []
    assert row.upload


def test_facts_that_postgresql_would_refuse_are_kept_without_what_it_refuses() -> None:
    waiting = make_waiting()
    begun = preparations.begin(waiting.pk)
    assert begun is not None
    facts = {"file": "a\0b.png", "names": ["\0"], "found": 2, "other": r"c\u0000.png"}
    assert preparations.record_rejection(begun, code="names_repeat", facts=facts)
    kept = {"file": "ab.png", "names": [""], "found": 2, "other": r"c\u0000.png"}
    assert reload(waiting).problem_facts == kept


# --- Calibration --------------------------------------------------------------------------------
def make_set_with_pairs() -> ReferenceSet:
    reference_set = make_empty_set(make_competition(), size=64)
    bring_in(reference_set, pack(pictures("c1.png", "c2.png", seed=1, size=64)))
    styles = pack(pictures("s1.png", seed=2, size=64))
    bring_in(reference_set, styles, role=ImageRole.STYLE)
    assert reference_set.pairs.count() == 2
    return reference_set


def calibrate(recipe: ScoringRecipe, reference_set: ReferenceSet, vgg: ExtractorPin) -> Preparation:
    ScoringRecipe.objects.filter(pk=recipe.pk).update(competition=reference_set.competition)
    return request_calibration(recipe, reference_set, vgg=vgg, by=make_user())


def assert_rejected(done: Preparation, code: str) -> None:
    assert (done.status, done.problem_code) == (PreparationStatus.REJECTED, code)
    assert code in CODES
    assert "?" not in Problem(code, done.problem_facts).detail


def test_calibrating_sets_the_weights_by_which_the_terms_count_alike() -> None:
    data = discriminator_bytes()
    recipe = make_recipe(
        metrics=["content", "style", "adversarial", "total"],
        discriminator=ContentFile(data, name="d.safetensors"),
        discriminator_sha256="f" * 64,
    )
    ScoringRecipe.objects.filter(pk=recipe.pk).update(discriminator_sha256="")
    before = ScoringRecipe.objects.get(pk=recipe.pk).sha256
    done = run(calibrate(recipe, make_set_with_pairs(), VGG))
    assert done.status == PreparationStatus.DONE, done.problem_facts
    recipe.refresh_from_db()
    anchors = done.result["anchors"]
    assert recipe.alpha == pytest.approx(1 / anchors["content"])
    assert recipe.beta == pytest.approx(1 / anchors["style"])
    assert recipe.gamma == pytest.approx(1 / anchors["adversarial"])
    assert done.result["vgg"]["name"] == "vgg19-surrogate-1"
    assert recipe.sha256 == recipe.as_value().sha256() != before


def test_without_a_discriminator_nothing_adversarial_is_weighed() -> None:
    recipe = make_recipe()
    done = run(calibrate(recipe, make_set_with_pairs(), VGG))
    recipe.refresh_from_db()
    assert (done.status, recipe.gamma) == (PreparationStatus.DONE, 0)
    assert set(done.result["anchors"]) == {"content", "style"}
    assert recipe.alpha != 1


def test_a_recipe_that_came_in_use_is_left_as_it_is() -> None:
    recipe = make_recipe()
    waiting = calibrate(recipe, make_set_with_pairs(), VGG)
    make_phase(recipe=recipe)
    assert_rejected(run(waiting), "recipe_in_use")
    recipe.refresh_from_db()
    assert recipe.alpha == 1


def test_images_that_changed_while_they_were_measured_are_measured_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from evaluation import recipe_calibration

    reference_set, recipe = make_set_with_pairs(), make_recipe()
    waiting = calibrate(recipe, reference_set, VGG)
    measure = recipe_calibration._measure

    def change_and_measure(*arguments: Any) -> Any:
        found = measure(*arguments)
        bring_in(reference_set, pack(pictures("late.png", seed=3, size=64)))
        return found

    monkeypatch.setattr(recipe_calibration, "_measure", change_and_measure)
    assert_rejected(run(waiting), "changed_meanwhile")
    recipe.refresh_from_db()
    assert recipe.alpha == 1


def test_a_network_that_is_not_there_is_named(settings: Any, tmp_path: Path) -> None:
    settings.WEIGHTS_DIR = tmp_path
    published = ExtractorPin("vgg19-imagenet1k-v1", "0" * 64)
    done = run(calibrate(make_recipe(), make_set_with_pairs(), published))
    assert_rejected(done, "weights_unavailable")
    assert "vgg19-imagenet1k-v1" in Problem(done.problem_code, done.problem_facts).detail


def test_a_discriminator_that_is_none_is_refused() -> None:
    recipe = make_recipe(discriminator=ContentFile(b"not a network", name="d.safetensors"))
    assert_rejected(run(calibrate(recipe, make_set_with_pairs(), VGG)), "bad_discriminator")
