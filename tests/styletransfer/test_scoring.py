"""Scoring as a whole: exact anchors, equal bits, caches, refusals."""

import hashlib
import json
import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from styletransfer.determinism import make_deterministic
from styletransfer.discriminator import PatchGan, save_discriminator
from styletransfer.errors import (
    DegenerateAnchor,
    MetricInputError,
    NonFiniteInput,
    ShapeMismatch,
    TooFewSamples,
    WeightsMismatch,
)
from styletransfer.metric_specs import DEFAULT_METRICS
from styletransfer.metrics.frechet import FeatureStatistics, frechet_distance
from styletransfer.metrics.interval import bootstrap_mean
from styletransfer.recipe import Recipe
from styletransfer.score_card import ScoreCard
from styletransfer.scoring import Scorer, calibrate, seed_of
from styletransfer.surrogates import BY_ROLE, INCEPTION, PINS, VGG
from styletransfer.values import ExtractorPin, Image, ReferenceImages
from styletransfer.weights import load_inception

CHECKPOINT = "c" * 64
EXTRACTORS = {role: PINS[name] for role, name in BY_ROLE.items()}
SIDE = 48


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def make_image(seed: int) -> Image:
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, 256, (SIDE // 8, SIDE // 8, 3))
    speckles = rng.integers(-20, 20, (SIDE, SIDE, 3))
    pixels = np.kron(blocks, np.ones((8, 8, 1), dtype=np.int64)) + speckles
    return pixels.clip(0, 255).astype(np.uint8)


def make_references() -> ReferenceImages:
    return ReferenceImages(
        contents=[make_image(seed) for seed in range(3)],
        styles=[make_image(seed) for seed in (10, 11)],
        pairs=[(0, 0), (1, 0), (2, 1), (0, 1)],
        reals=[make_image(seed) for seed in range(20, 25)],
        sha256="a" * 64,
    )


@lru_cache(maxsize=1)
def make_discriminator() -> bytes:
    torch.manual_seed(0)
    return save_discriminator(PatchGan(ndf=4, n_layers=2))


def make_recipe(**changes: Any) -> Recipe:
    sha256 = hashlib.sha256(make_discriminator()).hexdigest()
    recipe = Recipe(alpha=1e-5, beta=2.0, gamma=0.5, discriminator_sha256=sha256)
    return replace(recipe, **changes)


def make_scorer(
    recipe: Recipe | None = None,
    references: ReferenceImages | None = None,
    cache_dir: Path | None = None,
) -> Scorer:
    recipe = recipe or make_recipe()
    has_judge = recipe.discriminator_sha256 is not None
    return Scorer(
        recipe,
        references or make_references(),
        extractors=EXTRACTORS,
        discriminator=make_discriminator() if has_judge else None,
        cache_dir=cache_dir,
    )


def make_outputs() -> list[Image]:
    return [make_image(seed) for seed in range(30, 34)]


def identity() -> list[Image]:
    references = make_references()
    return [references.contents[content] for content, _ in references.pairs]


def style_paste() -> list[Image]:
    references = make_references()
    return [references.styles[style] for _, style in references.pairs]


def score_elsewhere(cache_dir: Path | None) -> str:
    """Score in a process of its own."""
    make_deterministic(threads=1)
    return as_text(make_scorer(cache_dir=cache_dir).score(make_outputs(), checkpoint_sha256="c"))


def score_identity(recipe: Recipe, cache_dir: Path) -> str:
    scorer = make_scorer(recipe, cache_dir=cache_dir)
    return as_text(scorer.score(identity(), checkpoint_sha256="c"))


def as_text(card: ScoreCard) -> str:
    everything = card.to_json()
    del everything["measurements"]
    return json.dumps(everything, sort_keys=True)


@pytest.fixture(scope="module")
def cards() -> dict[str, ScoreCard]:
    torch.set_num_threads(1)
    scorer = make_scorer()
    return {
        name: scorer.score(outputs, checkpoint_sha256=CHECKPOINT)
        for name, outputs in (
            ("identity", identity()),
            ("style paste", style_paste()),
            ("other", make_outputs()),
        )
    }


def test_identity_has_no_content_loss_at_all(cards: dict[str, ScoreCard]) -> None:
    card = cards["identity"]
    assert card.per_pair["content"] == card.per_pair["content_relative"] == [0.0] * 4
    assert card.per_pair["style_relative"] == [1.0] * 4
    assert card.scores["content"].value == 0.0
    assert min(card.per_pair["style"]) > 0


def test_style_paste_has_no_style_loss_at_all(cards: dict[str, ScoreCard]) -> None:
    card = cards["style paste"]
    assert card.per_pair["style"] == card.per_pair["style_relative"] == [0.0] * 4
    assert card.per_pair["content_relative"] == [1.0] * 4
    assert min(card.per_pair["content"]) > 0


def test_anchors_stay_exact_when_read_from_the_cache(tmp_path: Path) -> None:
    recipe = make_recipe(metrics=("content", "style", "content_relative"))
    for _ in range(2):
        scorer = make_scorer(recipe, cache_dir=tmp_path)
        assert scorer.score(identity(), checkpoint_sha256="c").per_pair["content"] == [0.0] * 4
        pasted = scorer.score(style_paste(), checkpoint_sha256="c").per_pair
        assert (pasted["style"], pasted["content_relative"]) == ([0.0] * 4, [1.0] * 4)


def test_a_card_holds_every_metric_of_the_recipe_in_its_order(
    cards: dict[str, ScoreCard],
) -> None:
    card = cards["other"]
    assert list(card.scores) == list(DEFAULT_METRICS)
    assert set(card.per_pair) == set(DEFAULT_METRICS) - {"fid_pytorch"}
    assert all(len(values) == 4 for values in card.per_pair.values())
    assert json.loads(json.dumps(card.to_json(), allow_nan=False))["scores"]
    for key in ("vgg_s", "inception_s", "discriminator_s", "frechet_s", "score_s", "prepare_s"):
        assert card.measurements[key] > 0


def test_the_total_is_the_weighted_sum_for_every_pair(cards: dict[str, ScoreCard]) -> None:
    values = {key: np.array(numbers) for key, numbers in cards["other"].per_pair.items()}
    expected = 1e-5 * values["content"] + 2 * values["style"] + 0.5 * values["adversarial"]
    assert values["total"] == pytest.approx(expected, rel=1e-12)
    assert cards["other"].scores["total"].value == pytest.approx(expected.mean(), rel=1e-12)


def test_intervals_are_drawn_from_the_three_hashes(cards: dict[str, ScoreCard]) -> None:
    card, recipe = cards["other"], make_recipe()
    text = f"{CHECKPOINT}\n{recipe.sha256()}\n{'a' * 64}\n"
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
    assert seed == seed_of(CHECKPOINT, recipe.sha256(), "a" * 64)
    for key, values in card.per_pair.items():
        found = card.scores[key]
        assert (found.value, found.low, found.high) == bootstrap_mean(values, seed=seed)
    spread = card.scores["fid_pytorch"]
    assert spread.low is not None
    assert spread.high is not None
    assert spread.low <= spread.high


def test_fid_is_the_distance_of_the_networks_features(cards: dict[str, ScoreCard]) -> None:
    network = load_inception(INCEPTION)[0]
    sets = [
        FeatureStatistics.from_features(network.features(images).numpy())
        for images in (make_outputs(), make_references().reals)
    ]
    expected = frechet_distance(*sets)
    assert cards["other"].scores["fid_pytorch"].value == pytest.approx(expected, rel=1e-12)


def test_scoring_again_gives_the_same_bits(tmp_path: Path) -> None:
    first = score_elsewhere(None)
    assert score_elsewhere(tmp_path) == score_elsewhere(tmp_path) == first
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as process:
        assert process.submit(score_elsewhere, tmp_path).result() == first


def test_the_number_of_threads_changes_no_more_than_rounding(
    cards: dict[str, ScoreCard],
) -> None:
    torch.set_num_threads(2)
    card = make_scorer().score(make_outputs(), checkpoint_sha256=CHECKPOINT)
    for key, estimate in card.scores.items():
        assert estimate.value == pytest.approx(cards["other"].scores[key].value, rel=1e-5)


def test_a_scorer_prepared_with_other_threads_prepares_again() -> None:
    scorer = make_scorer(make_recipe(metrics=("content",)))
    scorer.prepare()
    torch.set_num_threads(2)
    card = scorer.score(identity(), checkpoint_sha256="c")
    assert card.provenance["threads"] == 2
    assert card.per_pair["content"] == [0.0] * 4


def test_references_are_computed_once_and_progress_is_told(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    make_scorer(cache_dir=tmp_path).prepare(lambda *each: told.append(each))
    assert told == [(done, 10) for done in range(1, 11)]  # 3 contents, 2 styles, 5 reals
    told.clear()
    scorer = make_scorer(make_recipe(alpha=7.0), cache_dir=tmp_path)
    scorer.prepare(lambda *each: told.append(each))
    assert told == []
    scorer.score(make_outputs(), checkpoint_sha256="c", on_pair=lambda *each: told.append(each))
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_other_images_or_layers_are_never_taken_from_the_cache(tmp_path: Path) -> None:
    make_scorer(cache_dir=tmp_path).prepare()
    files = set(tmp_path.iterdir())
    make_scorer(
        references=replace(make_references(), sha256="b" * 64), cache_dir=tmp_path
    ).prepare()
    assert len(set(tmp_path.iterdir())) == len(files) + 2
    make_scorer(make_recipe(content_layer="relu3_1"), cache_dir=tmp_path).prepare()
    make_scorer(make_recipe(normalization="spatial"), cache_dir=tmp_path).prepare()
    assert len(set(tmp_path.iterdir())) == len(files) + 4


@pytest.mark.parametrize("damage", ["flip", "cut", "empty"])
def test_a_damaged_cache_is_made_anew(tmp_path: Path, damage: str) -> None:
    # FID has a file of its own, read by the same code: one kind of damage to it is enough.
    recipe = make_recipe() if damage == "flip" else make_recipe(metrics=("content", "style"))
    before, files = score_identity(recipe, tmp_path), len(list(tmp_path.iterdir()))
    for path in tmp_path.iterdir():
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes({"flip": bytes(data), "cut": bytes(data[:-9]), "empty": b""}[damage])
    assert score_identity(recipe, tmp_path) == before
    assert len(list(tmp_path.iterdir())) == files


def test_a_cache_that_can_not_be_written_does_not_stop_scoring(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way of a folder")
    recipe = make_recipe(metrics=("content", "style"))
    assert score_identity(recipe, tmp_path / "file" / "cache") == score_identity(recipe, tmp_path)


def test_without_a_discriminator_the_adversarial_metric_is_left_out() -> None:
    recipe = make_recipe(gamma=0.0, discriminator_sha256=None)
    card = make_scorer(recipe).score(make_outputs(), checkpoint_sha256="c")
    assert "adversarial" not in card.scores
    assert "adversarial" not in card.per_pair
    content, style = (np.array(card.per_pair[key]) for key in ("content", "style"))
    assert card.per_pair["total"] == pytest.approx(1e-5 * content + 2 * style)


def test_a_recipe_that_wants_few_metrics_gets_few() -> None:
    recipe = make_recipe(metrics=("style_relative", "total"))
    references = replace(make_references(), reals=[])
    card = make_scorer(recipe, references).score(make_outputs(), checkpoint_sha256="c")
    assert list(card.scores) == ["style_relative", "total"]
    assert "inception" not in card.provenance["extractors"]


def test_calibrated_terms_count_alike(tmp_path: Path) -> None:
    references, start = make_references(), Recipe(normalization="spatial")
    recipe = calibrate(start, references, PINS[VGG], make_discriminator(), cache_dir=tmp_path)
    assert recipe.discriminator_sha256 == hashlib.sha256(make_discriminator()).hexdigest()
    scorer = make_scorer(recipe, cache_dir=tmp_path)
    pasted = scorer.score(style_paste(), checkpoint_sha256="c").scores
    copied = scorer.score(identity(), checkpoint_sha256="c").scores
    assert recipe.alpha * pasted["content"].value == pytest.approx(1, rel=1e-12)
    assert recipe.beta * copied["style"].value == pytest.approx(1, rel=1e-12)
    both = (pasted["adversarial"].value + copied["adversarial"].value) / 2
    assert recipe.gamma * both == pytest.approx(1, rel=1e-9)


def test_calibration_without_a_discriminator_has_no_adversarial_term() -> None:
    recipe = calibrate(Recipe(), make_references(), PINS[VGG], None)
    assert (recipe.gamma, recipe.discriminator_sha256) == (0.0, None)
    assert recipe.alpha > 0
    assert recipe.beta > 0


def test_extractors_other_than_the_pinned_ones_are_refused() -> None:
    other = {name: ExtractorPin(name, "0" * 64) for name in (VGG, INCEPTION)}
    for role, name in (("vgg", VGG), ("inception", INCEPTION)):
        pins = {**EXTRACTORS, role: other[name]}
        scorer = Scorer(make_recipe(), make_references(), pins, make_discriminator())
        with pytest.raises(WeightsMismatch, match="0000"):
            scorer.prepare()


def test_a_network_that_is_not_pinned_is_named() -> None:
    with pytest.raises(WeightsMismatch, match="inception"):
        Scorer(make_recipe(), make_references(), {"vgg": PINS[VGG]}, make_discriminator())


def test_a_discriminator_other_than_the_recipes_is_refused() -> None:
    for recipe, data in (
        (make_recipe(), b"another"),
        (make_recipe(), None),
        (make_recipe(gamma=0.0, discriminator_sha256=None), make_discriminator()),
    ):
        with pytest.raises(WeightsMismatch):
            Scorer(recipe, make_references(), EXTRACTORS, data)


def test_a_score_that_is_not_finite_is_an_error_and_never_a_number() -> None:
    judge = PatchGan(ndf=4, n_layers=2)
    with torch.no_grad():
        judge.layers[-1].weight.fill_(3e38)  # type: ignore[operator]
    data = save_discriminator(judge)
    recipe = make_recipe(discriminator_sha256=hashlib.sha256(data).hexdigest())
    scorer = Scorer(recipe, make_references(), EXTRACTORS, data)
    with pytest.raises(NonFiniteInput):
        scorer.score(make_outputs(), checkpoint_sha256="c")
    with pytest.raises(NonFiniteInput):
        make_scorer(make_recipe(alpha=1e308)).score(make_outputs(), checkpoint_sha256="c")


def test_outputs_that_do_not_fit_the_pairs_are_refused() -> None:
    scorer = make_scorer()
    outputs = make_outputs()
    wrong_sets: list[list[Any]] = [
        outputs[:3],
        [*outputs, outputs[0]],
        [*outputs[:3], outputs[0][:40]],
        [*outputs[:3], outputs[0].astype(np.float32)],
    ]
    for wrong in wrong_sets:
        with pytest.raises(ShapeMismatch):
            scorer.score(wrong, checkpoint_sha256="c")


def test_reference_sets_that_can_not_be_scored_against_are_refused() -> None:
    references = make_references()
    wrong: list[dict[str, Any]] = [
        {"pairs": []},
        {"pairs": [(0, 2)]},
        {"pairs": [(-1, 0)]},
        {"reals": [*references.reals, references.reals[0][:24]]},
    ]
    for changes in wrong:
        with pytest.raises(ShapeMismatch):
            make_scorer(references=replace(references, **changes))
    with pytest.raises(TooFewSamples):
        make_scorer(references=replace(references, reals=references.reals[:1])).prepare()


def test_a_pair_of_equal_images_leaves_nothing_to_measure_by() -> None:
    references = make_references()
    same = replace(references, styles=[references.contents[0], references.styles[1]])
    with pytest.raises(DegenerateAnchor, match="pair 0"):
        make_scorer(references=same).prepare()
    with pytest.raises(MetricInputError):
        calibrate(Recipe(), same, PINS[VGG], None)
    absolute = make_recipe(metrics=("content", "style"))
    assert make_scorer(absolute, same).score(make_outputs(), checkpoint_sha256="c").scores


def test_provenance_names_all_that_went_in(cards: dict[str, ScoreCard]) -> None:
    provenance = cards["other"].provenance
    assert provenance["checkpoint_sha256"] == CHECKPOINT
    assert provenance["recipe_sha256"] == make_recipe().sha256()
    assert provenance["extractors"]["vgg"] == {
        "name": VGG,
        "sha256": PINS[VGG].sha256,
        "is_surrogate": True,
        "files": {},
    }
    assert provenance["metrics"].keys() == cards["other"].scores.keys()
    assert provenance["torch"] == torch.__version__
    assert provenance["cpu_capability"] == torch.backends.cpu.get_cpu_capability()
    assert (provenance["threads"], provenance["fid_low_n"]) == (1, True)
