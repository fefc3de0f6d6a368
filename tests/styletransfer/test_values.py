"""Values that cross the border: their hashes, their JSON, their refusals."""

import json
import pickle
from dataclasses import FrozenInstanceError
from typing import Any

import pytest

from styletransfer.errors import REFUSALS, CheckpointRejected, InvalidRecipe
from styletransfer.metric_specs import DEFAULT_METRICS
from styletransfer.recipe import Recipe
from styletransfer.score_card import ScoreCard
from styletransfer.values import Estimate, canonical_json


def test_a_recipe_survives_json() -> None:
    recipe = Recipe(
        style_layers=("relu1_1", "relu3_4"),
        style_weights=(0.25, 0.75),
        normalization="spatial",
        alpha=1e-7,
        gamma=0.5,
        discriminator_sha256="d" * 64,
        metrics=("total", "fid_pytorch"),
    )
    again = Recipe.from_json(json.loads(json.dumps(recipe.to_json())))
    assert again == recipe
    assert again.sha256() == recipe.sha256()
    assert hash(again) == hash(recipe)


def test_equal_recipes_hash_alike_however_they_are_written() -> None:
    written: dict[str, Any] = Recipe().to_json() | {"alpha": 1, "gamma": 0}
    assert Recipe.from_json(written).sha256() == Recipe().sha256()
    assert Recipe(alpha=2).sha256() != Recipe().sha256()


def test_a_recipes_hash_does_not_change_between_versions() -> None:
    # Competitions pin it: a change of the default or of the JSON is a change of all of them.
    expected = (
        '{"alpha":1.0,"beta":1.0,"content_layer":"relu4_2","discriminator_sha256":null,'
        '"gamma":0.0,"metrics":["content","style","adversarial","total","fid_pytorch",'
        '"content_relative","style_relative"],"normalization":"gatys",'
        '"style_layers":["relu1_1","relu2_1","relu3_1","relu4_1","relu5_1"],'
        '"style_weights":[0.2,0.2,0.2,0.2,0.2]}'
    )
    assert Recipe().canonical_json() == expected


@pytest.mark.parametrize(
    "changes",
    [
        {"content_layer": "conv4_2"},
        {"style_layers": ()},
        {"style_layers": ("relu1_1",) * 5},
        {"style_weights": (1.0,)},
        {"style_weights": (0.2, 0.2, 0.2, 0.2, -0.2)},
        {"normalization": "johnson"},
        {"alpha": float("nan")},
        {"beta": float("inf")},
        {"gamma": -1.0},
        {"gamma": 1.0},
        {"metrics": ()},
        {"metrics": ("content", "content")},
        {"metrics": ("beauty",)},
        {"alpha": "much"},
        {"style_layers": None},
        {"content_layer": ["relu4_2"]},
        {"colour": "red"},
    ],
)
def test_contradictory_recipes_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidRecipe):
        Recipe.from_json(Recipe().to_json() | changes)


def test_without_a_discriminator_there_is_no_adversarial_metric() -> None:
    assert "adversarial" not in Recipe().measured
    assert Recipe(discriminator_sha256="d" * 64).measured == DEFAULT_METRICS


def test_values_can_not_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        Recipe().alpha = 2.0  # type: ignore[misc]


def test_a_card_hashes_its_scores_and_nothing_else() -> None:
    scores = {"content": Estimate(1.5, 1.0, 2.0), "fid_pytorch": Estimate(3.0)}
    card = ScoreCard(scores, {"content": [1.0, 2.0]}, {"vgg_s": 1.0}, {"torch": "2"})
    other = ScoreCard(dict(reversed(scores.items())), {}, {"vgg_s": 9.0}, {})
    assert card.scores_sha256 == other.scores_sha256
    assert card.to_json()["scores"]["fid_pytorch"] == {"value": 3.0, "low": None, "high": None}
    json.dumps(card.to_json(), allow_nan=False)
    changed = ScoreCard(scores | {"content": Estimate(1.6, 1.0, 2.0)}, {})
    assert changed.scores_sha256 != card.scores_sha256


def test_nan_has_no_canonical_json() -> None:
    with pytest.raises(ValueError, match="JSON"):
        canonical_json({"value": float("nan")})


@pytest.mark.parametrize("code", REFUSALS)
def test_a_refusal_crosses_processes_with_its_facts(code: str) -> None:
    error = CheckpointRejected(code, expected=[256, 256], found=[512, 512])
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert (again.code, again.facts) == (code, error.facts)
    assert str(again) == str(error)
    assert "512 512" in str(error)
    assert str(CheckpointRejected(code)) == REFUSALS[code]


def test_measurements_that_a_recipe_asks_for_stand_beside_its_scores() -> None:
    recipe = Recipe(metrics=("parameters", "content", "ms_per_image"))
    assert recipe.measured == ("parameters", "content", "ms_per_image")
    assert recipe.scored == ("content",)
    card = ScoreCard({"content": Estimate(1.0, 0.5, 2.0)}, {})
    measured = card.with_measurements({"ms_per_image": 12.5, "parameters": 7, "peak_memory": 9})
    assert measured.scores_sha256 == card.scores_sha256
    assert measured.to_json()["scores"].keys() == {"content"}
    assert measured.values_of(recipe) == {
        "content": Estimate(1.0, 0.5, 2.0),
        "parameters": Estimate(7.0),
        "ms_per_image": Estimate(12.5),
    }


def test_a_recipe_measures_more_than_how_outputs_are_made() -> None:
    with pytest.raises(InvalidRecipe, match="outputs"):
        Recipe(metrics=("parameters", "ms_per_image", "peak_memory"))
