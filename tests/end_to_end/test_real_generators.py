"""Generators that others trained are taken, run, scored and ranked as they are."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from styletransfer.images import decode_png
from tests.deployment import deployed
from tests.end_to_end.running_site import Site

CONTENT = {"role": "content", "name": "content"}
STYLE = {"role": "style", "name": "style"}
RAW = {"input_range": "0..255", "output_range": "0..255"}


def onnx(*inputs: dict[str, str], **fields: Any) -> dict[str, Any]:
    return {"format": "onnx", "architecture": None, "inputs": list(inputs), **RAW, **fields}


TRANSFORMER_NET = {"format": "safetensors", "architecture": "transformer_net", **RAW}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, real_inputs: Path) -> Iterator[Site]:
    with deployed(tmp_path_factory.mktemp("site") / "var") as deployment:
        yield Site(deployment)


@pytest.fixture
def phase(site: Site) -> str:
    """Open a phase for one test: on a shared board only a team's best submission shows."""
    return site.add_phase(pairs=2, size=256)


def convert(path: Path, to: Path) -> Path:
    """Turn a state dict into safetensors, as a participant does at home."""
    import torch
    from safetensors.torch import save_file

    weights = torch.load(path, weights_only=True, map_location="cpu")
    save_file({key: value.contiguous() for key, value in weights.items()}, to)
    return to


@pytest.mark.parametrize(
    ("name", "manifest"),
    [
        ("transformernet_nc16_candy.pth", {**TRANSFORMER_NET, "parameters": {"width": 16}}),
        ("transformernet_nc16_mosaic_dynamic.onnx", onnx(CONTENT)),
        (
            "microast_dynamic.onnx",
            onnx(CONTENT, STYLE, input_range="0..1", output_range="0..1"),
        ),
        (
            "transformernet_nc16_candy_256x256.onnx",
            onnx({"role": "content", "name": "input.1"}, size={"fixed": [256, 256]}),
        ),
    ],
)
def test_a_real_generator_is_scored_and_its_pictures_are_stylised(
    site: Site,
    phase: str,
    real_inputs: Path,
    tmp_path: Path,
    name: str,
    manifest: dict[str, Any],
) -> None:
    path = real_inputs / "checkpoints" / name
    if path.suffix == ".pth":
        path = convert(path, tmp_path / "converted.safetensors")
    status, made = site.submit(path, manifest, phase=phase)
    assert status == 201, made
    ended = site.wait_until_ended(made["id"])
    assert ended["status"] == "scored", ended
    assert all(np.isfinite(score["value"]) for score in ended["scores"].values())
    for output in ended["outputs"]:
        _, png = site.curl(site.deployment.url + output["url"])
        pixels = decode_png(png, size=(256, 256))
        # The contents are two flat colours: whatever a generator paints has more.
        assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 100
    _, board = site.curl(f"phases/{phase}/leaderboard/")
    assert [(row["rank"], row["submission"]) for row in board["results"]] == [(1, made["id"])]


def test_a_network_nobody_here_knows_is_told_to_use_onnx(
    site: Site, phase: str, real_inputs: Path
) -> None:
    path = real_inputs / "checkpoints" / "fst_scream.safetensors"
    manifest = {**TRANSFORMER_NET, "architecture": "fast_style_transfer"}
    status, answer = site.submit(path, manifest, phase=phase)
    assert (status, answer["code"]) == (400, "unknown_architecture")
    assert "onnx" in answer["detail"].lower()
    status, made = site.submit(path, TRANSFORMER_NET, phase=phase)
    assert status == 201, made
    ended = site.wait_until_ended(made["id"])
    assert (ended["status"], ended["failure"]["code"]) == ("rejected", "wrong_keys")
