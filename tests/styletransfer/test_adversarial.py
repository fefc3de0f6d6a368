"""Least-squares adversarial losses against golden values."""

from pathlib import Path

import numpy as np
import pytest
import torch

from styletransfer.errors import NonFiniteInput, ShapeMismatch
from styletransfer.metrics.adversarial import discriminator_loss, generator_loss

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_losses_are_the_golden_ones_without_their_factor_one_half(dtype: torch.dtype) -> None:
    with np.load(GOLDEN / "lsgan.npz") as golden:
        real, fake = (torch.from_numpy(golden[key]).to(dtype) for key in ("d_real", "d_fake"))
        per_image = generator_loss(fake)
        assert per_image.numpy() == pytest.approx(2 * golden["exp_g_per_image"], rel=1e-10)
        assert per_image.mean().item() == pytest.approx(float(golden["exp_g_cyclegan"]), rel=1e-10)
        found = discriminator_loss(real, fake).item()
        assert found == pytest.approx(2 * float(golden["exp_d"]), rel=1e-10)


def test_a_perfect_discriminator_has_no_loss_and_its_generator_loses_all() -> None:
    with np.load(GOLDEN / "lsgan_perfect.npz") as golden:
        real, fake = (torch.from_numpy(golden[key]) for key in ("d_real", "d_fake"))
    assert discriminator_loss(real, fake).item() == 0
    assert generator_loss(fake).tolist() == [1.0] * len(fake)
    assert generator_loss(real).tolist() == [0.0] * len(real)


def test_minimising_the_generators_loss_raises_the_discriminators_opinion() -> None:
    scores = torch.zeros(1, 1, 2, 2, requires_grad=True)
    generator_loss(scores).sum().backward()  # type: ignore[no-untyped-call]
    assert scores.grad is not None
    assert bool((scores.grad < 0).all())


def test_nan_and_wrong_shapes_are_refused() -> None:
    scores = torch.zeros(1, 1, 3, 3)
    with pytest.raises(NonFiniteInput):
        generator_loss(scores + float("nan"))
    with pytest.raises(NonFiniteInput):
        discriminator_loss(scores, scores + float("inf"))
    with pytest.raises(ShapeMismatch):
        generator_loss(torch.zeros(3, 3))
