"""Generators that others trained are taken, run, scored and ranked as they are."""

import json
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
STATE_DICT = {**TRANSFORMER_NET, "format": "state_dict"}
UNKNOWN = ("rejected", "unknown_architecture", "torch.onnx.export")
# How every file ends without a word about it: its state, code, and what is said.
ENDS = {
    "transformernet_nc8_candy.pth": ("queued", "", ""),
    "transformernet_nc16_candy.pth": ("queued", "", ""),
    "transformernet_nc16_mosaic.pth": ("queued", "", ""),
    "transformernet_nc16_candy_256x256.onnx": ("queued", "", ""),
    "transformernet_nc16_mosaic_dynamic.onnx": ("queued", "", ""),
    "fst_wave_dynamic.onnx": ("queued", "", ""),
    "microast_dynamic.onnx": ("queued", "", ""),
    "fst_scream.safetensors": UNKNOWN,
    "fst_wave.pth": UNKNOWN,
    "mobilenetv2_mosaic.pth": UNKNOWN,
    "cyclegan_mobileresnet9_horse2zebra.pth": UNKNOWN,
    "transformernet_nc16_mosaic.torchscript.pt": ("refused", "format_refused", "torchscript"),
    "negative/lfs_pointer_candy-9.onnx": ("refused", "not_a_checkpoint", "Git LFS pointer"),
    "negative/truncated_download_latest_net_G.pth": (
        "rejected",
        "corrupt_file",
        "it ends too early",
    ),
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, real_inputs: Path) -> Iterator[Site]:
    with deployed(tmp_path_factory.mktemp("site") / "var") as deployment:
        yield Site(deployment)


@pytest.fixture
def phase(site: Site) -> str:
    """Open a phase for one test: on a shared board only a team's best submission shows."""
    return site.add_phase(pairs=2, size=256)


@pytest.mark.parametrize(
    ("name", "manifest"),
    [
        ("transformernet_nc16_candy.pth", {**STATE_DICT, "parameters": {"width": 16}}),
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
    name: str,
    manifest: dict[str, Any],
) -> None:
    path = real_inputs / "checkpoints" / name
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
    assert "architecture that is not known here" in ended["failure"]["cause"]
    assert "torch.onnx.export" in ended["failure"]["example"]


def test_every_file_ends_as_it_should_without_a_manifest(
    site: Site, phase: str, real_inputs: Path
) -> None:
    folder = real_inputs / "checkpoints"
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert files == set(ENDS)
    found = {name: _enter_alone(site, folder / name, phase) for name in sorted(ENDS)}
    for name, (state, code, words) in ENDS.items():
        ended, failure = found[name]
        assert (ended, failure.get("code", "")) == (state, code), (name, failure)
        assert words in failure.get("detail", ""), (name, failure)


def _enter_alone(site: Site, path: Path, phase: str) -> tuple[str, dict[str, str]]:
    status, made = site.curl(
        f"phases/{phase}/submissions/", "-F", f"checkpoint=@{path}", "-F", "hold=true"
    )
    if status != 201:
        return "refused", made
    uuid = made["id"]
    site.deployment.wait_for("a check", lambda: site.status(uuid) != "checking", 60)
    _, checked = site.curl(f"submissions/{uuid}/")
    if checked["status"] == "queued":
        _require_painted(site, checked)
        site.curl(f"submissions/{uuid}/cancel/", "-X", "POST")
    return checked["status"], checked["failure"] or {}


def _require_painted(site: Site, checked: dict[str, Any]) -> None:
    """Expect a picture to look at, and a wait for somebody to do so."""
    assert checked["held_until"] is not None
    _, png = site.curl(site.deployment.url + checked["check"]["picture"])
    pixels = decode_png(png, size=(256, 256))
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 100


def test_a_wrong_range_is_seen_tried_again_without_an_upload_and_released(
    site: Site, phase: str, real_inputs: Path
) -> None:
    path = real_inputs / "checkpoints" / "transformernet_nc8_candy.pth"
    wrong = {**STATE_DICT, "parameters": {"width": 8}, "output_range": "0..1"}
    _, made = site.curl(
        f"phases/{phase}/submissions/",
        *("-F", f"checkpoint=@{path}", "-F", f"manifest={json.dumps(wrong)}", "-F", "hold=1"),
    )
    uuid = made["id"]
    site.wait_for_status(uuid, "queued")
    hint = site.curl(f"submissions/{uuid}/")[1]["check"]["hints"][0]
    assert (hint["code"], hint["field"], hint["value"]) == ("clipped", "output_range", "0..255")
    body = json.dumps({"manifest": {**wrong, hint["field"]: hint["value"]}, "hold": True})
    options = ("-H", "Content-Type: application/json", "-d", body)
    status, changed = site.curl(f"submissions/{uuid}/manifest/", *options)
    assert (status, changed["status"], changed["sha256"]) == (200, "checking", made["sha256"])
    site.wait_for_status(uuid, "queued")
    assert site.curl(f"submissions/{uuid}/")[1]["check"]["hints"] == []
    status, _ = site.curl(f"submissions/{uuid}/release/", "-X", "POST")
    assert status == 200
    ended = site.wait_until_ended(uuid)
    assert ended["status"] == "scored", ended
    assert ended["manifest"]["format"] == "state_dict"
    assert ended["manifest"]["output_range"] == "0..255"
