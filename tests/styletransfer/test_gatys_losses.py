"""Content and style losses against golden values (float64 formulas written independently)."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from styletransfer.errors import MetricInputError, NonFiniteInput, ShapeMismatch
from styletransfer.metrics.content import content_loss
from styletransfer.metrics.style import Normalization, gram_matrix, style_layer_loss, style_loss

GOLDEN = Path(__file__).parent / "golden"
SETS = ["gatys_unit", "gatys_large", "gatys_tiny", "gatys_style_other_size", "gatys_zero_features"]
# Formulas in float64; float32 features whose squares are added up in float64.
PRECISIONS = [(torch.float64, 1e-10), (torch.float32, 1e-6)]


def load(name: str) -> dict[str, Any]:
    with np.load(GOLDEN / f"{name}.npz") as file:
        return dict(file)


def maps(golden: dict[str, Any], letter: str, dtype: torch.dtype) -> list[Tensor]:
    names = sorted(key for key in golden if key[0] == letter and key[1:].isdigit())
    return [torch.from_numpy(golden[name])[None].to(dtype) for name in names]


@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
@pytest.mark.parametrize("name", SETS)
def test_style_is_the_golden_value(name: str, dtype: torch.dtype, tolerance: float) -> None:
    golden = load(name)
    outputs, styles = maps(golden, "G", dtype), maps(golden, "S", dtype)
    weights = np.atleast_1d(golden["weights"]).tolist()
    assert style_loss(outputs, styles, weights).item() == pytest.approx(
        float(golden["exp_style"]), rel=tolerance, abs=0
    )


@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
@pytest.mark.parametrize("name", SETS[:4])
def test_each_layer_is_the_golden_value(name: str, dtype: torch.dtype, tolerance: float) -> None:
    golden = load(name)
    layers = zip(maps(golden, "G", dtype), maps(golden, "S", dtype), golden["exp_E"], strict=True)
    for output, style, expected in layers:
        found = style_layer_loss(output, style).item()
        assert found == pytest.approx(float(expected), rel=tolerance, abs=0)


@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
@pytest.mark.parametrize("name", SETS[:3])
def test_content_and_raw_gram_are_the_golden_values(
    name: str, dtype: torch.dtype, tolerance: float
) -> None:
    golden = load(name)
    pairs = zip(maps(golden, "G", dtype), maps(golden, "S", dtype), strict=True)
    for layer, (output, other) in enumerate(pairs):
        found = content_loss(output, other).item()
        assert found == pytest.approx(float(golden[f"exp_content{layer}"]), rel=tolerance, abs=0)
        gram, expected = gram_matrix(output)[0].numpy(), golden[f"exp_gram_G{layer}"]
        assert np.abs(gram - expected).max() <= tolerance * np.abs(expected).max()


def test_equal_features_give_exactly_zero() -> None:
    golden = load("gatys_identical")
    output, style = maps(golden, "G", torch.float32)[0], maps(golden, "S", torch.float32)[0]
    assert content_loss(output, style).item() == 0
    assert style_loss([output], [style]).item() == 0


def test_style_ignores_where_things_are_and_content_does_not() -> None:
    golden = load("gatys_spatial_permutation")
    style, output = (torch.from_numpy(golden[key])[None].double() for key in ("S0", "G0"))
    shuffled = torch.from_numpy(golden["G0_perm"])[None].double()
    as_is = style_loss([output], [style]).item()
    assert as_is == pytest.approx(float(golden["exp_style"]), rel=1e-10)
    assert style_loss([shuffled], [style]).item() == pytest.approx(as_is, rel=1e-12)
    for found, key in ((output, "exp_content"), (shuffled, "exp_content_perm")):
        assert content_loss(found, style).item() == pytest.approx(float(golden[key]), rel=1e-10)


def test_spatial_normalisation_leaves_the_channels_out() -> None:
    output, style = torch.rand(2, 6, 5, 4).double(), torch.rand(1, 6, 3, 7).double()
    gatys = style_layer_loss(output, style)
    assert torch.allclose(style_layer_loss(output, style, "spatial"), gatys * 36, rtol=1e-12)


def test_memory_layout_does_not_change_the_losses_beyond_rounding() -> None:
    output, other = torch.rand(2, 16, 9, 8), torch.rand(2, 16, 9, 8)
    last = output.contiguous(memory_format=torch.channels_last)
    assert torch.allclose(content_loss(last, other), content_loss(output, other), rtol=1e-12)
    assert torch.allclose(style_layer_loss(last, other), style_layer_loss(output, other), rtol=1e-5)


def test_images_of_a_batch_are_scored_each_on_their_own() -> None:
    outputs, others = torch.rand(3, 8, 6, 6).double(), torch.rand(3, 8, 6, 6).double()
    together = content_loss(outputs, others), style_loss([outputs], [others])
    for index in range(3):
        one, other = outputs[index : index + 1], others[index : index + 1]
        assert torch.allclose(together[0][index], content_loss(one, other)[0], rtol=1e-12)
        assert torch.allclose(together[1][index], style_loss([one], [other])[0], rtol=1e-12)


def test_losses_have_the_gradients_of_their_formulas() -> None:
    output = torch.rand(2, 3, 4, 3, dtype=torch.float64, requires_grad=True)
    other = torch.rand(1, 3, 4, 3, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: content_loss(x, other), (output,))
    assert torch.autograd.gradcheck(lambda x: style_loss([x, x], [other, other]), (output,))
    content_loss(output, other).sum().backward()  # type: ignore[no-untyped-call]
    assert output.grad is not None
    assert torch.allclose(output.grad, output.detach() - other)


@pytest.mark.parametrize("poison", [float("nan"), float("inf")])
@pytest.mark.parametrize("side", [0, 1])
def test_nan_and_infinity_never_become_a_number(poison: float, side: int) -> None:
    pair = [torch.rand(1, 4, 3, 3), torch.rand(1, 4, 3, 3)]
    pair[side][0, 1, 2, 0] = poison
    with pytest.raises(NonFiniteInput):
        content_loss(*pair)
    with pytest.raises(NonFiniteInput):
        style_loss([pair[0]], [pair[1]])
    with pytest.raises(NonFiniteInput):
        style_loss([pair[0]], [pair[1]], weights=[0.0])
    with pytest.raises(NonFiniteInput):
        gram_matrix(pair[side])


def test_squares_that_overflow_are_refused_as_well() -> None:
    huge = torch.full((1, 2, 3, 3), 1e25)
    with pytest.raises(NonFiniteInput):
        style_layer_loss(huge, torch.zeros(1, 2, 3, 3))


@pytest.mark.parametrize(
    ("output", "other"),
    [((1, 4, 3, 3), (1, 5, 3, 3)), ((2, 4, 3, 3), (3, 4, 3, 3)), ((4, 3, 3), (4, 3, 3))],
)
def test_shapes_that_do_not_fit_are_refused(
    output: tuple[int, ...], other: tuple[int, ...]
) -> None:
    with pytest.raises(ShapeMismatch):
        content_loss(torch.rand(output), torch.rand(other))
    with pytest.raises(ShapeMismatch):
        style_layer_loss(torch.rand(output), torch.rand(other))


def test_content_maps_of_different_sizes_are_refused() -> None:
    with pytest.raises(ShapeMismatch):
        content_loss(torch.rand(1, 4, 3, 3), torch.rand(1, 4, 3, 1))


def test_layers_and_weights_have_to_match() -> None:
    one = torch.rand(1, 4, 3, 3)
    for outputs, styles, weights in (
        ([], [], None),
        ([one], [one, one], None),
        ([one], [one], [0.5, 0.5]),
    ):
        with pytest.raises(ShapeMismatch):
            style_loss(outputs, styles, weights)
    with pytest.raises(MetricInputError):
        style_layer_loss(one, one, cast_normalization("johnson"))
    with pytest.raises(MetricInputError):
        gram_matrix(torch.ones(1, 4, 3, 3, dtype=torch.int64))


def cast_normalization(name: Any) -> Normalization:
    return name  # type: ignore[no-any-return]
