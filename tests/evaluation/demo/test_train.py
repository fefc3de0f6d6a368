import numpy as np
import pytest
import torch
from safetensors.torch import load

from evaluation.demo.baselines import GENERATOR_WIDTH, discriminator_bytes, trained_baseline
from evaluation.demo.painter import REFERENCE_SEED
from evaluation.demo.photos import content_images
from evaluation.demo.train import (
    PAINTING_SEED,
    Report,
    Trained,
    judge,
    style_image,
)
from styletransfer.discriminator import load_discriminator
from styletransfer.generators import build
from styletransfer.manifest import Manifest
from styletransfer.training.judging import area_under_curve


@pytest.fixture(scope="module")
def trained() -> Trained:
    generator = build("transformer_net", {"width": GENERATOR_WIDTH})
    generator.load_state_dict(load(trained_baseline().checkpoint))
    return Trained(generator.eval(), load_discriminator(discriminator_bytes()))


@pytest.fixture(scope="module")
def report(trained: Trained) -> Report:
    return judge(trained)


def test_the_shipped_files_are_small_and_their_manifest_is_valid() -> None:
    baseline = trained_baseline()
    assert len(baseline.checkpoint) <= 2**20
    assert len(discriminator_bytes()) <= 2**20
    manifest = Manifest.model_validate(baseline.manifest)
    assert manifest.architecture == "transformer_net"
    assert load_discriminator(discriminator_bytes()).ndf <= 16


def test_the_shipped_generator_beats_copying_and_pasting_on_what_it_never_saw(
    report: Report,
) -> None:
    assert report.content_relative + report.style_relative <= 0.8
    assert report.total["trained"] == min(report.total.values())
    assert report.total["trained"] < 0.95 * min(
        report.total["identity"], report.total["style paste"]
    )


def test_the_shipped_discriminator_tells_reference_paintings_from_held_out_photographs(
    report: Report,
) -> None:
    assert report.auc >= 0.9


def test_a_stylised_picture_keeps_its_subject_and_takes_the_palette(trained: Trained) -> None:
    style = style_image().reshape(-1, 3).mean(axis=0)
    for content in content_images()[:4]:
        image = torch.from_numpy(content.pixels.copy()).permute(2, 0, 1)[None].float()
        with torch.no_grad():
            output = trained.generator(image)[0].clamp(0, 255).permute(1, 2, 0).numpy()
        light = content.pixels.mean(axis=2)
        coarse = [
            picture.reshape(32, 8, 32, 8).mean(axis=(1, 3)).ravel()
            for picture in (light, output.mean(axis=2))
        ]
        assert np.corrcoef(*coarse)[0, 1] > 0.6, content.name
        before = np.abs(content.pixels.reshape(-1, 3).mean(axis=0) - style).sum()
        assert np.abs(output.reshape(-1, 3).mean(axis=0) - style).sum() < before, content.name


def test_training_paintings_are_neither_references_nor_the_style() -> None:
    assert PAINTING_SEED >= REFERENCE_SEED + 1000


def test_the_area_under_the_curve_counts_pairs_in_the_right_order() -> None:
    assert area_under_curve(np.array([2.0, 3.0]), np.array([0.0, 1.0])) == 1.0
    assert area_under_curve(np.array([0.0, 2.0]), np.array([1.0, 2.0])) == 0.375
