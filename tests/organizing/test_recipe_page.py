"""Recipes: made with explanations, fixed once in use, duplicated, calibrated by a worker."""

import json
from pathlib import Path
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from competitions import messages
from competitions.models import (
    Phase,
    Preparation,
    PreparationKind,
    PreparationStatus,
    ReferenceSet,
    ScoringRecipe,
)
from competitions.preparations import PREPARE
from competitions.queues import PREPARATIONS
from evaluation.demo.baselines import discriminator_bytes
from styletransfer.recipe import VGG19_LAYERS, Recipe
from styletransfer.surrogates import PINS, VGG
from tests.factories import make_competition, make_phase, make_recipe, make_reference_set
from tests.organizing.scene import Scene, make_organizer, make_scene

pytestmark = pytest.mark.django_db

ADD = "admin:competitions_scoringrecipe_add"


@pytest.fixture
def scene() -> Scene:
    return make_scene("alfa")


@pytest.fixture
def unused(scene: Scene) -> ScoringRecipe:
    return ScoringRecipe.objects.get(name="alfa unused recipe")


@pytest.fixture
def references(scene: Scene) -> ReferenceSet:
    return ReferenceSet.objects.get(name="alfa thawed")


def page_of(recipe: ScoringRecipe) -> str:
    return reverse("admin:competitions_scoringrecipe_change", args=[recipe.pk])


def button(recipe: ScoringRecipe, name: str) -> str:
    return reverse(f"admin:competitions_scoringrecipe_{name}", args=[recipe.pk])


def fields(scene: Scene, **changes: Any) -> dict[str, Any]:
    layers = {f"layers_{layer}": "" for layer in VGG19_LAYERS}
    layers |= {"layers_relu1_1": "0.5", "layers_relu3_1": "0.25"}
    return {
        "competition": scene.competition.pk,
        "name": "Mine",
        "description": "",
        "content_layer": "relu4_2",
        "normalization": "gatys",
        "alpha": "1",
        "beta": "2",
        "gamma": "0",
        "metrics": ["content", "style", "total"],
        **layers,
    } | changes


def add(scene: Scene, **changes: Any) -> str:
    response = scene.client.post(reverse(ADD), fields(scene, **changes), follow=True)
    return response.content.decode()


def upload(data: bytes) -> SimpleUploadedFile:
    return SimpleUploadedFile("../../judge.safetensors", data)


def test_a_recipe_is_saved_under_the_hash_of_what_it_says(scene: Scene) -> None:
    add(scene)
    recipe = ScoringRecipe.objects.get(name="Mine")
    value = Recipe(
        style_layers=("relu1_1", "relu3_1"),
        style_weights=(0.5, 0.25),
        alpha=1,
        beta=2,
        metrics=("content", "style", "total"),
    )
    assert recipe.as_value() == value
    assert recipe.sha256 == value.sha256()


def test_a_recipe_needs_a_style_layer_a_metric_and_weights_that_are_not_negative(
    scene: Scene,
) -> None:
    none = {f"layers_{layer}": "" for layer in VGG19_LAYERS}
    refused: tuple[dict[str, Any], ...] = (
        none,
        none | {"layers_relu1_1": "0"},
        {"layers_relu1_1": "-1"},
        {"layers_relu1_1": "much"},
        {"metrics": []},
        {"alpha": "-1"},
        {"alpha": "nan"},
        {"beta": "inf"},
        {"content_layer": "relu9_9"},
    )
    for changes in refused:
        assert "errornote" in add(scene, **changes), changes
    assert not ScoringRecipe.objects.filter(name="Mine").exists()


def test_the_adversarial_term_needs_a_discriminator(scene: Scene) -> None:
    assert "With gamma above 0, give a discriminator." in add(scene, gamma="0.5")
    add(scene, gamma="0.5", discriminator=upload(discriminator_bytes()))
    recipe = ScoringRecipe.objects.get(name="Mine")
    assert recipe.gamma == 0.5
    assert len(recipe.discriminator_sha256) == 64
    assert "judge" not in str(recipe.discriminator.name)
    assert recipe.discriminator.read() == discriminator_bytes()


@pytest.mark.parametrize("data", [b"no network at all", b"\x08" * 400, b""])
def test_other_files_are_no_discriminator(scene: Scene, data: bytes) -> None:
    assert "errornote" in add(scene, discriminator=upload(data))
    assert not ScoringRecipe.objects.filter(name="Mine").exists()


def test_another_networks_weights_are_no_discriminator(scene: Scene) -> None:
    data = discriminator_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    header["__metadata__"]["patchgan"] = json.dumps({"n_layers": 2, "ndf": 16})
    text = json.dumps(header).encode()
    other = len(text).to_bytes(8, "little") + text + data[8 + length :]
    assert "This is not a discriminator that can be used." in add(
        scene, discriminator=upload(other)
    )


def test_a_recipe_in_use_is_shown_and_can_not_be_changed(scene: Scene) -> None:
    url = page_of(scene.recipe)
    text = scene.client.get(url).content.decode()
    assert "In use" in text
    assert 'name="alpha"' not in text
    assert "as Gatys et al. write it" in text  # in words, not as the key that is stored
    assert scene.client.post(url, fields(scene)).status_code == 403
    assert scene.client.post(button(scene.recipe, "calibrate")).status_code == 404
    delete = reverse("admin:competitions_scoringrecipe_delete", args=[scene.recipe.pk])
    assert scene.client.post(delete, {"post": "yes"}).status_code == 403


def test_a_recipe_that_comes_in_use_while_it_is_edited_stays_as_it_is(
    scene: Scene, unused: ScoringRecipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    from competitions.admin.recipe import RecipeAdmin

    def late(self: RecipeAdmin, *args: Any, **kwargs: Any) -> bool:
        return True  # the page was opened before

    monkeypatch.setattr(RecipeAdmin, "has_change_permission", late)
    make_phase(competition=scene.competition, recipe=unused)
    response = scene.client.post(page_of(unused), fields(scene), follow=True)
    assert "This recipe is in use" in response.content.decode()
    unused.refresh_from_db()
    assert unused.name == "alfa unused recipe"


def test_a_copy_of_a_recipe_in_use_can_be_changed(scene: Scene) -> None:
    add(scene, gamma="1", discriminator=upload(discriminator_bytes()))
    original = ScoringRecipe.objects.get(name="Mine")
    make_phase(competition=scene.competition, recipe=original)
    response = scene.client.post(button(original, "duplicate"))
    copy = ScoringRecipe.objects.get(name="Mine (2)")
    assert response.headers["Location"] == page_of(copy)
    assert copy.as_value() == original.as_value()
    assert copy.discriminator.name != original.discriminator.name
    assert copy.discriminator.read() == discriminator_bytes()
    scene.client.post(page_of(copy), fields(scene, name="Changed", alpha="7"))
    copy.refresh_from_db()
    assert (copy.name, copy.alpha) == ("Changed", 7)
    assert not Phase.objects.filter(recipe=copy).exists()


def test_a_calibration_is_a_row_and_a_message_sent_once_the_row_is_there(
    scene: Scene,
    unused: ScoringRecipe,
    references: ReferenceSet,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: Any,
) -> None:
    sent: list[tuple[str, str, str]] = []

    def send(task: str, *, queue: str, row: object) -> bool:
        sent.append((task, queue, str(row)))
        return True

    monkeypatch.setattr(messages, "send", send)
    chosen = {
        "calibration-reference_set": references.pk,
        "calibration-networks": "surrogates",
    }
    with django_capture_on_commit_callbacks() as callbacks:
        scene.client.post(button(unused, "calibrate"), chosen)
        made = Preparation.objects.get(kind=PreparationKind.CALIBRATION)
        assert sent == []
    for callback in callbacks:
        callback()
    assert sent == [(PREPARE, PREPARATIONS, str(made.pk))]
    assert made.recipe == unused
    assert made.reference_set == references
    assert made.requested_by == scene.organizer
    assert made.status == PreparationStatus.WAITING
    assert made.result == {"vgg": {"name": VGG, "sha256": PINS[VGG].sha256}}
    assert LogEntry.objects.filter(change_message__contains="requested").exists()

    text = scene.client.post(button(unused, "calibrate"), chosen, follow=True).content.decode()
    assert "being calibrated already" in text
    assert Preparation.objects.filter(kind=PreparationKind.CALIBRATION).count() == 1


def test_a_recipe_is_calibrated_on_a_set_of_its_own_competition(
    scene: Scene, unused: ScoringRecipe
) -> None:
    second = make_competition()
    second.organizers.add(scene.organizer)
    elsewhere = make_reference_set()
    ReferenceSet.objects.filter(pk=elsewhere.pk).update(competition=second)
    for chosen in (elsewhere.pk, "", "999999"):
        text = scene.client.post(
            button(unused, "calibrate"),
            {"calibration-reference_set": chosen, "calibration-networks": "surrogates"},
            follow=True,
        ).content.decode()
        assert "Choose a reference set." in text
    assert not Preparation.objects.filter(kind=PreparationKind.CALIBRATION).exists()


def test_a_set_without_pairs_is_refused_in_words(scene: Scene, unused: ScoringRecipe) -> None:
    empty = ReferenceSet.objects.create(name="empty", competition=scene.competition)
    chosen = {"calibration-reference_set": empty.pk, "calibration-networks": "surrogates"}
    response = scene.client.post(button(unused, "calibrate"), chosen, follow=True)
    assert "This reference set has no pairs yet" in response.content.decode()


def test_a_calibration_that_was_rejected_says_why(
    scene: Scene, unused: ScoringRecipe, references: ReferenceSet
) -> None:
    Preparation.objects.create(
        kind=PreparationKind.CALIBRATION,
        reference_set=references,
        recipe=unused,
        status=PreparationStatus.REJECTED,
        problem_code="degenerate_anchor",
    )
    text = scene.client.get(page_of(unused)).content.decode()
    assert "there is nothing to measure by" in text
    assert "alfa unused recipe" in scene.client.get(reverse("admin:index")).content.decode()


def test_only_administrators_make_recipes_of_no_competition(scene: Scene) -> None:
    assert "errornote" in add(scene, competition="")
    other = make_organizer(is_superuser=True)
    client = Client()
    client.force_login(other)
    client.post(reverse(ADD), fields(scene, competition="", name="Everybody's"))
    recipe = ScoringRecipe.objects.get(name="Everybody's")
    assert recipe.competition is None
    assert scene.client.get(page_of(recipe)).status_code == 302


def test_the_header_check_agrees_with_the_network_itself(tmp_path: Path) -> None:
    from styletransfer.discriminator import PatchGan, save_discriminator
    from styletransfer.discriminator_file import require_discriminator

    for ndf, layers in ((1, 1), (4, 5), (16, 3)):
        require_discriminator(save_discriminator(PatchGan(ndf=ndf, n_layers=layers)))


def test_recipes_of_a_factory_are_no_special_case() -> None:
    assert make_recipe().as_value().sha256() == ScoringRecipe.objects.get().sha256
