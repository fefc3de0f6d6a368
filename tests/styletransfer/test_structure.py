"""LPIPS, ArtFID, SSIM and CFSD against golden values (float64 formulas written independently)."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from styletransfer.errors import MetricInputError, NonFiniteInput, ShapeMismatch
from styletransfer.metrics import structure
from styletransfer.metrics.perceptual import artfid, lpips_from_features
from styletransfer.metrics.structure import cfsd, ssim

GOLDEN = Path(__file__).parent / "golden"
# Formulas in float64; float32 inputs whose products are added up in float64.
PRECISIONS = [(torch.float64, 1e-10), (torch.float32, 1e-6)]


def load(name: str) -> dict[str, Any]:
    with np.load(GOLDEN / f"{name}.npz") as file:
        return dict(file)


def batch(golden: dict[str, Any], name: str, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.from_numpy(golden[name])[None].to(dtype)


@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
def test_lpips_is_the_golden_value(dtype: torch.dtype, tolerance: float) -> None:
    golden = load("lpips")
    a, b = ([batch(golden, f"{side}{layer}", dtype) for layer in range(3)] for side in "ab")
    lins = [torch.from_numpy(golden[f"lin{layer}"]) for layer in range(3)]
    found = lpips_from_features(a, b, lins).item()
    assert found == pytest.approx(float(golden["exp_lpips"]), rel=tolerance)
    for layer in range(3):
        alone = lpips_from_features([a[layer]], [b[layer]], [lins[layer]]).item()
        assert alone == pytest.approx(float(golden["exp_per_layer"][layer]), rel=tolerance)
    assert lpips_from_features(a, a, lins).item() == 0


@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
def test_ssim_and_cfsd_are_the_golden_values(dtype: torch.dtype, tolerance: float) -> None:
    golden = load("ssim")
    x, y = batch(golden, "x", dtype), batch(golden, "y", dtype)
    assert ssim(x, y).item() == pytest.approx(float(golden["exp_ssim"]), rel=tolerance)
    assert ssim(x, x).item() == pytest.approx(1, rel=1e-12)
    golden = load("cfsd")
    content, output = batch(golden, "content", dtype), batch(golden, "stylised", dtype)
    assert cfsd(content, output).item() == pytest.approx(float(golden["exp_cfsd"]), rel=tolerance)
    assert cfsd(content, content).item() == 0


def test_artfid_is_the_published_arithmetic() -> None:
    golden = load("artfid")
    found = [artfid(*row) for row in zip(golden["lpips"], golden["fid"], strict=True)]
    assert found == pytest.approx(golden["exp_artfid"].tolist(), rel=1e-10)


def test_cfsd_does_not_depend_on_the_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    golden = load("cfsd")
    sides = batch(golden, "content"), batch(golden, "stylised")
    whole = cfsd(*sides).item()
    monkeypatch.setattr(structure, "BLOCK_POSITIONS", 7)
    assert cfsd(*sides).item() == pytest.approx(whole, rel=1e-12)


def test_every_image_of_a_batch_has_its_own_value() -> None:
    generator = torch.Generator().manual_seed(3)
    a, b = torch.rand(2, 3, 3, 16, 16, generator=generator)
    assert ssim(a, b).tolist() == pytest.approx(
        [ssim(a[i : i + 1], b[i : i + 1]).item() for i in range(3)]
    )
    assert cfsd(a, b).tolist() == pytest.approx(
        [cfsd(a[i : i + 1], b[i : i + 1]).item() for i in range(3)]
    )
    lins = [torch.ones(3)]
    alone = [lpips_from_features([a[i : i + 1]], [b[i : i + 1]], lins).item() for i in range(3)]
    assert lpips_from_features([a], [b], lins).tolist() == pytest.approx(alone)


def test_gradients_are_those_of_the_formulas() -> None:
    generator = torch.Generator().manual_seed(4)
    a, b = torch.rand(2, 1, 2, 12, 12, generator=generator, dtype=torch.float64) * 0.8 + 0.1
    lins = [torch.tensor([0.3, 0.7], dtype=torch.float64)]
    a.requires_grad_(True)
    assert torch.autograd.gradcheck(lambda x: ssim(x, b), (a,))
    assert torch.autograd.gradcheck(lambda x: cfsd(b[..., :3], x[..., :3]), (a,))
    assert torch.autograd.gradcheck(lambda x: lpips_from_features([x], [b], lins), (a,))


def test_inputs_without_a_value_are_refused() -> None:
    image = torch.rand(1, 3, 16, 16)
    broken = image.clone()
    broken[0, 0, 0, 0] = torch.nan
    lins = [torch.ones(3)]
    for measure in (ssim, cfsd, lambda x, y: lpips_from_features([x], [y], lins)):
        with pytest.raises(NonFiniteInput):
            measure(image, broken)
        with pytest.raises(ShapeMismatch):
            measure(image, image[..., :12])
        with pytest.raises(ShapeMismatch):
            measure(image[0], image)
    with pytest.raises(ShapeMismatch):
        ssim(image[..., :10], image[..., :10])
    with pytest.raises(MetricInputError):
        ssim(image * 255, image)
    with pytest.raises(MetricInputError):
        lpips_from_features([], [], [])
    with pytest.raises(MetricInputError):
        lpips_from_features([image], [image], [-torch.ones(3)])
    with pytest.raises(ShapeMismatch):
        lpips_from_features([image], [image], [torch.ones(4)])
    with pytest.raises(MetricInputError):
        artfid(-0.1, 3)
    with pytest.raises(NonFiniteInput):
        artfid(float("nan"), 3)
