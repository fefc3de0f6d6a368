"""Generators that others trained and published, as they wrote them."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from PIL import Image

from styletransfer.checkpoint import load_generator
from styletransfer.errors import CheckpointRejected
from styletransfer.inference import Floats, Pixels, stylise, to_pixels
from styletransfer.manifest import Manifest

CONTENT = {"role": "content", "name": "content"}
STYLE = {"role": "style", "name": "style"}
OLD_EXPORT = {"inputs": [{"role": "content", "name": "input.1"}]}
TWO_INPUTS = {"inputs": [CONTENT, STYLE], "input_range": "0..1", "output_range": "0..1"}

pytestmark = pytest.mark.skipif(
    "ARENA_REAL_INPUTS" not in os.environ, reason="ARENA_REAL_INPUTS names no folder of real inputs"
)
REAL = Path(os.environ.get("ARENA_REAL_INPUTS", "."))
CHECKPOINTS = REAL / "checkpoints"


def graph(**changes: Any) -> Manifest:
    plain = {"format": "onnx", "input_range": "0..255", "output_range": "0..255"}
    return Manifest.model_validate(plain | changes)


def weights(architecture: str = "transformer_net", **parameters: int) -> Manifest:
    return Manifest(
        format="safetensors",
        architecture=architecture,
        parameters=parameters,
        input_range="0..255",
        output_range="0..255",
    )


def convert(name: str) -> bytes:
    """Turn a published pickle into safetensors, as a participant would."""
    state = torch.load(CHECKPOINTS / name, map_location="cpu", weights_only=True)
    return safetensors.torch.save({key: tensor.contiguous() for key, tensor in state.items()})


def photo(folder: str = "content", number: int = 0, size: tuple[int, int] = (256, 256)) -> Pixels:
    with Image.open(sorted((REAL / folder).iterdir())[number]) as picture:
        return np.array(picture.convert("RGB").resize((size[1], size[0])))


def run(name: str, manifest: Manifest, content: Pixels, style: Pixels | None = None) -> Floats:
    return stylise(load_generator((CHECKPOINTS / name).read_bytes(), manifest), content, style)


def require_stylised(output: Floats, content: Pixels) -> None:
    """Expect another picture in which the photo's shapes are still found."""
    pixels = to_pixels(output)
    assert pixels.shape == content.shape
    assert np.abs(pixels.astype(float) - content).mean() > 10
    edges = [np.abs(np.diff(p.astype(float).mean(axis=2), axis=1)) for p in (pixels, content)]
    assert np.corrcoef(edges[0].ravel(), edges[1].ravel())[0, 1] > 0.15


def test_published_weights_and_their_author_s_own_onnx_export_agree() -> None:
    content = photo()
    ours = stylise(
        load_generator(convert("transformernet_nc16_candy.pth"), weights(width=16)), content
    )
    name = "transformernet_nc16_candy_256x256.onnx"
    theirs = run(name, graph(**OLD_EXPORT, size={"fixed": [256, 256]}), content)
    # On the scale 0..255: float32 rounding over 16 layers.
    np.testing.assert_allclose(ours, theirs, atol=5e-3)
    require_stylised(ours, content)


def test_published_weights_and_an_onnx_export_agree_at_an_odd_size() -> None:
    content = photo(number=3, size=(251, 330))
    ours = stylise(
        load_generator(convert("transformernet_nc16_mosaic.pth"), weights(width=16)), content
    )
    theirs = run("transformernet_nc16_mosaic_dynamic.onnx", graph(), content)
    # Either is within 0.02 of the same network run in float64.
    np.testing.assert_allclose(ours, theirs, atol=0.05)
    assert np.abs(ours - theirs).mean() < 3e-3


@pytest.mark.parametrize(
    ("name", "manifest"),
    [
        ("transformernet_nc16_candy_256x256.onnx", graph(**OLD_EXPORT)),
        ("transformernet_nc16_mosaic_dynamic.onnx", graph()),
        ("fst_wave_dynamic.onnx", graph()),
        ("microast_dynamic.onnx", graph(**TWO_INPUTS)),
    ],
)
def test_published_graphs_stylise(name: str, manifest: Manifest) -> None:
    content = photo(number=1)
    require_stylised(run(name, manifest, content, photo("style", 3)), content)


def test_two_input_graphs_follow_the_style_picture() -> None:
    content, manifest = photo(number=1), graph(**TWO_INPUTS)
    means = [
        run("microast_dynamic.onnx", manifest, content, photo("style", number)).mean(axis=(0, 1))
        for number in (0, 3)
    ]
    assert np.abs(means[0] - means[1]).max() > 5


def test_a_graph_fixed_at_another_size_is_refused_naming_both() -> None:
    with pytest.raises(CheckpointRejected) as caught:
        run("transformernet_nc16_candy_256x256.onnx", graph(**OLD_EXPORT), photo(size=(512, 512)))
    assert caught.value.code == "wrong_size"
    assert caught.value.facts == {"expected": [512, 512], "found": [256, 256]}


def test_a_graph_that_only_claims_to_take_any_size_needs_its_multiple() -> None:
    content = photo(size=(251, 333))
    require_stylised(run("fst_wave_dynamic.onnx", graph(size={"multiple_of": 4}), content), content)
    with pytest.raises(CheckpointRejected) as caught:
        run("fst_wave_dynamic.onnx", graph(size={"multiple_of": 1}), content)
    assert caught.value.code == "output_shape"
    assert caught.value.facts["found"] == [1, 3, 248, 332]


@pytest.mark.parametrize(
    ("make", "manifest", "code"),
    [
        (lambda: convert("transformernet_nc8_candy.pth"), weights(width=8), None),
        (lambda: convert("transformernet_nc8_candy.pth"), weights(width=16), "wrong_shapes"),
        (lambda: convert("mobilenetv2_mosaic.pth"), weights(width=16), "wrong_keys"),
        (
            lambda: convert("cyclegan_mobileresnet9_horse2zebra.pth"),
            weights("resnet_generator", blocks=9),
            "wrong_keys",
        ),
        (
            lambda: (CHECKPOINTS / "fst_scream.safetensors").read_bytes(),
            weights(width=32),
            "wrong_keys",
        ),
        (
            lambda: (CHECKPOINTS / "transformernet_nc16_candy.pth").read_bytes(),
            weights(width=16),
            "format_mismatch",
        ),
        (lambda: (CHECKPOINTS / "fst_wave.pth").read_bytes(), weights(width=16), "format_mismatch"),
        (
            lambda: (CHECKPOINTS / "negative/truncated_download_latest_net_G.pth").read_bytes(),
            weights(width=16),
            "format_mismatch",
        ),
        (
            lambda: (CHECKPOINTS / "negative/lfs_pointer_candy-9.onnx").read_bytes(),
            graph(),
            "not_a_checkpoint",
        ),
        (
            lambda: (CHECKPOINTS / "transformernet_nc16_mosaic_dynamic.onnx").read_bytes()[:-9],
            graph(),
            "corrupt_file",
        ),
        (
            lambda: (CHECKPOINTS / "transformernet_nc16_mosaic_dynamic.onnx").read_bytes(),
            weights(width=16),
            "format_mismatch",
        ),
        (
            lambda: (CHECKPOINTS / "transformernet_nc16_candy_256x256.onnx").read_bytes(),
            graph(),
            "wrong_inputs",
        ),
        (lambda: (CHECKPOINTS / "microast_dynamic.onnx").read_bytes(), graph(), "wrong_inputs"),
    ],
)
def test_real_files_that_do_not_fit_their_manifest_are_refused(
    make: Callable[[], bytes], manifest: Manifest, code: str | None
) -> None:
    if code is None:
        assert load_generator(make(), manifest).parameters_count == 108_771
        return
    with pytest.raises(CheckpointRejected) as caught:
        load_generator(make(), manifest)
    assert caught.value.code == code


def test_a_torchscript_archive_is_called_so() -> None:
    data = (CHECKPOINTS / "transformernet_nc16_mosaic.torchscript.pt").read_bytes()
    with pytest.raises(CheckpointRejected) as caught:
        load_generator(data, graph())
    assert caught.value.facts == {"kind": "torchscript"}
