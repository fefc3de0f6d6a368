"""What a participant finds at home with a phase's zip is what the platform finds, bit for bit."""

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import safetensors.torch
import torch

from styletransfer.card_schema import read_schema
from styletransfer.generators import build
from styletransfer.proposing import propose
from tests.deployment import ROOT, deployed
from tests.end_to_end.running_site import Site

PUBLIC = (
    "content",
    "style",
    "total",
    "content_relative",
    "style_relative",
    "ssim",
    "cfsd",
    "lpips",
)
OF_REALS = ("fid_pytorch", "fid_clean", "kid", "mifid", "artfid")
SIDE = 96  # large enough to be looked at for copies

# Real images stay with the organizers; whoever has them can measure everything.
WRITE_REALS = """
from pathlib import Path
from competitions.models import Phase
for image in Phase.objects.get(pk=%s).reference_set.images.filter(role="real"):
    Path(%r, f"{image.position:04d}.png").write_bytes(image.file.read())
"""


@pytest.fixture(name="site", scope="module")
def start_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with deployed(tmp_path_factory.mktemp("site") / "var") as deployment:
        yield Site(deployment)


@pytest.fixture(name="generator", scope="module")
def make_generator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(3)
    path = tmp_path_factory.mktemp("generator") / "mine.safetensors"
    weights = build("transformer_net", {"width": 4}).state_dict()
    path.write_bytes(safetensors.torch.save(dict(weights)))
    return path


def score_at_home(home: Path, generator: Path, *options: object) -> dict[str, Any]:
    """Score with what the zip holds, from a folder that has nothing of the platform in it."""
    pairs = home / "pairs"
    command = ["score", "--generator", generator, "--out", home / "card.json"]
    command += ["--content", pairs / "contents", "--style", pairs / "styles"]
    command += ["--pairs", pairs / "pairs.csv", "--recipe", pairs / "recipe.json"]
    # OPENBLAS_CORETYPE chooses other kernels, which sum in another order.
    names = [name for name in os.environ if name in ("PATH", "HOME") or "BLAS" in name]
    kept = {name: os.environ[name] for name in names}
    done = subprocess.run(
        [sys.executable, "-m", "styletransfer", *map(str, (*command, *options))],
        cwd=home,
        env={**kept, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "No manifest was given" in done.stderr
    card: dict[str, Any] = json.loads((home / "card.json").read_text())
    jsonschema.validate(card, json.loads(read_schema()))
    return card


def test_a_card_made_at_home_equals_the_platform_s_bit_for_bit(
    site: Site, generator: Path, tmp_path: Path
) -> None:
    phase = site.add_phase(size=SIDE, recipe={"metrics": [*PUBLIC, *OF_REALS]})
    # Sent with the manifest that the command line will propose by itself.
    manifest = propose(generator.read_bytes()).manifest.model_dump(mode="json")
    status, made = site.submit(generator, manifest, phase=phase)
    assert status == 201, made
    theirs = site.wait_until_ended(made["id"])
    assert theirs["status"] == "scored", theirs
    card = theirs["card"]
    jsonschema.validate(card, json.loads(read_schema()))

    status, packed = site.curl(f"phases/{phase}/pairs/")
    assert status == 200
    (tmp_path / "pairs.zip").write_bytes(packed)
    with zipfile.ZipFile(tmp_path / "pairs.zip") as archive:
        archive.extractall(tmp_path / "pairs")
    ours = score_at_home(tmp_path, generator)
    assert set(ours["scores"]) == set(PUBLIC)
    assert set(ours["provenance"]["left_out"]) == set(OF_REALS)
    for key in PUBLIC:
        assert ours["scores"][key] == card["scores"][key], key
        assert ours["scores"][key]["value"] != 0
        assert ours["per_pair"][key] == card["per_pair"][key], key
    assert ours["provenance"]["references_sha256"] == card["provenance"]["references_sha256"]

    (tmp_path / "reals").mkdir()
    code = WRITE_REALS % (phase, str(tmp_path / "reals"))
    site.deployment.manage("shell", "-v", "0", "-c", code)
    whole = score_at_home(tmp_path, generator, "--real", tmp_path / "reals")
    assert whole["scores"] == card["scores"]
    assert whole["scores_sha256"] == card["scores_sha256"]
    for name in ("torch", "cpu_capability", "blas", "threads", "seed"):
        assert whole["provenance"][name] == card["provenance"][name], name
