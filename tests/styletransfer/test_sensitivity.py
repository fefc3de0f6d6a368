"""Outputs optimised against the networks are found by what invisible changes do to their scores."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from evaluation.demo.baselines import trained_baseline
from styletransfer.checkpoint import load_generator
from styletransfer.determinism import make_deterministic
from styletransfer.inference import stylise, to_pixels
from styletransfer.manifest import Manifest
from styletransfer.proportion import LIMIT, Excess, find_excess
from styletransfer.recipe import Recipe
from styletransfer.score_card import ScoreCard
from styletransfer.scoring import Scorer
from styletransfer.sensitivity import (
    DISTURBANCES,
    Sensitivity,
    blur,
    choose_sample,
    jpeg,
    shift,
)
from styletransfer.surrogates import BY_ROLE, PINS
from styletransfer.values import Estimate, Image, ReferenceImages
from tests.evaluation.gallery_of_cheats import demo_references
from tests.styletransfer.optimising import optimise

METRICS = ("content", "style", "total", "content_relative", "style_relative", "ssim", "cfsd")


@pytest.fixture(name="references", scope="module")
def draw_references() -> ReferenceImages:
    return demo_references()


@pytest.fixture(name="scorer", scope="module")
def make_scorer(references: ReferenceImages) -> Scorer:
    make_deterministic(1)
    # As a calibrated recipe has them: both terms count alike.
    recipe = Recipe(alpha=3e-5, beta=10.0, metrics=METRICS)
    return Scorer(recipe, references, {role: PINS[name] for role, name in BY_ROLE.items()})


def disturb(scorer: Scorer, outputs: list[Image]) -> Sensitivity:
    found = scorer.disturb(outputs.__getitem__)
    assert found is not None
    return found.judge()


def painted(references: ReferenceImages, checkpoint: bytes, manifest: object) -> list[Image]:
    generator = load_generator(checkpoint, Manifest.model_validate(manifest))
    return [
        to_pixels(stylise(generator, references.contents[content], references.styles[style]))
        for content, style in references.pairs
    ]


def trained(references: ReferenceImages) -> list[Image]:
    baseline = trained_baseline()
    return painted(references, baseline.checkpoint, baseline.manifest)


def identity(references: ReferenceImages) -> list[Image]:
    return [references.contents[content] for content, _ in references.pairs]


def style_paste(references: ReferenceImages) -> list[Image]:
    return [references.styles[style] for _, style in references.pairs]


def faint(references: ReferenceImages) -> list[Image]:
    """Stylise weakly: a content loss near zero worsens by much where it is divided by itself."""
    pairs = zip(identity(references), trained(references), strict=True)
    return [(0.9 * content + 0.1 * output).astype(np.uint8) for content, output in pairs]


@pytest.mark.parametrize("paint", [trained, identity, style_paste, faint])
def test_honest_outputs_and_baselines_get_hardly_worse(
    scorer: Scorer,
    references: ReferenceImages,
    paint: Callable[[ReferenceImages], list[Image]],
) -> None:
    found = disturb(scorer, paint(references))
    assert found.flags() == []
    assert set(found.ratios) == set(DISTURBANCES)
    assert all(set(ratios) == set(METRICS) for ratios in found.ratios.values())
    assert max(max(ratios.values()) for ratios in found.ratios.values()) < LIMIT


@pytest.mark.parametrize(
    ("name", "roles", "scale"),
    [
        ("transformernet_nc16_mosaic_dynamic.onnx", ("content",), "0..255"),
        ("microast_dynamic.onnx", ("content", "style"), "0..1"),
    ],
)
def test_generators_that_others_trained_are_not_flagged(
    scorer: Scorer,
    references: ReferenceImages,
    real_inputs: Path,
    name: str,
    roles: tuple[str, ...],
    scale: str,
) -> None:
    manifest = {
        "format": "onnx",
        "architecture": None,
        "inputs": [{"role": role, "name": role} for role in roles],
        "input_range": scale,
        "output_range": scale,
        "size": {"multiple_of": 4},
    }
    outputs = painted(references, (real_inputs / "checkpoints" / name).read_bytes(), manifest)
    assert disturb(scorer, outputs).flags() == []


def test_outputs_that_were_optimised_against_the_networks_are_flagged(
    scorer: Scorer, references: ReferenceImages
) -> None:
    prepared, start = scorer.prepare(), identity(references)
    outputs = [
        optimise(prepared, number, output, levels=12, steps=20)
        for number, output in enumerate(start)
    ]
    changes = [
        int(np.abs(after.astype(int) - before).max())
        for after, before in zip(outputs, start, strict=True)
    ]
    assert max(changes) <= 12  # hardly seen
    assert "style" in {flag.metric for flag in disturb(scorer, outputs).flags()}


def test_ratios_repeat_and_leave_the_scores_alone(
    scorer: Scorer, references: ReferenceImages
) -> None:
    outputs = trained(references)
    found = disturb(scorer, outputs)
    assert disturb(scorer, outputs) == found
    card = ScoreCard(scores={"total": Estimate(1.0)}, per_pair={})
    noted = found.add_to(card)
    assert noted.scores_sha256 == card.scores_sha256
    assert tuple(noted.guards["sensitivity"]["pairs"]) == found.pairs
    assert found.pairs == choose_sample(len(references.pairs), scorer.seed(""))


def test_a_twentieth_of_the_pairs_is_disturbed_and_at_least_four() -> None:
    for pairs, amount in ((1, 1), (3, 3), (4, 4), (24, 4), (100, 5), (1000, 50)):
        chosen = choose_sample(pairs, seed=3)
        assert chosen == tuple(sorted(set(chosen)))
        assert len(chosen) == amount
        assert set(chosen) <= set(range(pairs))
    assert choose_sample(100, 1) != choose_sample(100, 2)


def test_the_disturbances_are_what_they_are_called() -> None:
    image = np.random.default_rng(0).integers(0, 256, (32, 40, 3)).astype(np.uint8)
    assert np.array_equal(shift(image)[1:, 1:], image[:-1, :-1])
    assert np.array_equal(shift(image)[0, 1:], image[0, :-1])
    for change in (shift, jpeg, blur):
        assert change(image).shape == image.shape
        assert change(image).dtype == np.uint8
        flat = np.full_like(image, 77)
        assert np.array_equal(change(flat), flat)
    dot = np.zeros((9, 9, 3), np.uint8)
    dot[4, 4] = 255
    # A Gaussian of half a pixel keeps 0.7870 of its middle in each direction.
    assert blur(dot)[4, 4, 0] == round(255 * 0.7870**2)
    assert blur(dot)[4, 3, 0] == blur(dot)[3, 4, 0] == round(255 * 0.7870 * 0.1065)


def test_a_metric_is_judged_by_its_worst_disturbance_beside_what_is_usual() -> None:
    ratios = {
        "shift": {"style": 1.5, "ssim": 1.1, "style_relative": 1.6},
        "jpeg": {"style": 1.8, "ssim": 1.1},
    }
    assert find_excess(ratios) == [Excess("style", "jpeg", 1.8)]
    usual = {"jpeg": {"style": 1.7}, "shift": {"style": 1.0, "ssim": 0.4}}
    assert find_excess(ratios, usual) == [Excess("style", "shift", 1.5, 1.0)]
    usual = {"jpeg": {"style": 1.7}, "shift": {"style": 1.4}}
    assert find_excess(ratios, usual) == []
