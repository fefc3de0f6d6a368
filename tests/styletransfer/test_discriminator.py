"""The PatchGAN: geometry, files, independence of the batch."""

import pytest
import torch

from styletransfer.discriminator import PatchGan, load_discriminator, save_discriminator
from styletransfer.errors import NonFiniteInput, WeightsMismatch


def make_discriminator(ndf: int = 4, n_layers: int = 3) -> PatchGan:
    torch.manual_seed(0)
    return PatchGan(ndf=ndf, n_layers=n_layers)


def test_a_score_sees_70_pixels() -> None:
    image = torch.rand(1, 3, 256, 256, requires_grad=True)
    # Without normalisation, which looks at whole maps: only the convolutions' reach counts.
    layers = [
        layer
        for layer in make_discriminator().layers
        if not isinstance(layer, torch.nn.InstanceNorm2d)
    ]
    scores = torch.nn.Sequential(*layers)(image)
    assert scores.shape == (1, 1, 30, 30)
    scores[0, 0, 15, 15].backward()
    assert image.grad is not None
    touched = image.grad.abs().sum(dim=(0, 1)).nonzero()
    assert (touched.amax(dim=0) - touched.amin(dim=0) + 1).tolist() == [70, 70]


def test_equal_weights_give_equal_bytes_that_load_as_they_were() -> None:
    first, second = make_discriminator(), make_discriminator()
    data = save_discriminator(first)
    assert data == save_discriminator(second)
    loaded = load_discriminator(data)
    assert (loaded.ndf, loaded.n_layers, loaded.training) == (4, 3, False)
    assert not any(parameter.requires_grad for parameter in loaded.parameters())
    image = torch.rand(1, 3, 64, 64)
    assert torch.equal(loaded(image), first.eval()(image))


def test_an_image_is_judged_independently_of_its_batch() -> None:
    judge, images = make_discriminator().eval(), torch.rand(3, 3, 64, 64)
    assert torch.allclose(judge(images)[1], judge(images[1:2])[0], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("data", [b"", b"\x08\x00\x00\x00\x00\x00\x00\x00{}      ", b"junk" * 99])
def test_bytes_that_are_no_discriminator_are_refused(data: bytes) -> None:
    with pytest.raises(WeightsMismatch):
        load_discriminator(data)


def test_a_cut_file_and_one_of_other_shapes_are_refused() -> None:
    data = save_discriminator(make_discriminator())
    with pytest.raises(WeightsMismatch):
        load_discriminator(data[:-1])
    with pytest.raises(WeightsMismatch):
        load_discriminator(data.replace(b'\\"ndf\\": 4', b'\\"ndf\\": 8'))


def test_non_finite_weights_are_refused() -> None:
    judge = make_discriminator()
    with torch.no_grad():
        next(judge.parameters())[0, 0, 0, 0] = float("nan")
    with pytest.raises(NonFiniteInput):
        load_discriminator(save_discriminator(judge))


@pytest.mark.parametrize(("ndf", "n_layers"), [(0, 3), (16, 0), (4096, 3)])
def test_sizes_have_bounds(ndf: int, n_layers: int) -> None:
    with pytest.raises(ValueError, match="ndf"):
        PatchGan(ndf=ndf, n_layers=n_layers)
