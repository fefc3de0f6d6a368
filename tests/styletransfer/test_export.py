"""``export``: what is written is what the platform takes, and paints as before."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import safetensors.torch
import torch

from styletransfer import onnx_writing
from styletransfer.architectures import ARCHITECTURES
from styletransfer.checkpoint import load_generator
from styletransfer.commands import exporting
from styletransfer.commands.main import UNUSABLE, main
from styletransfer.generators import build
from styletransfer.inference import stylise
from styletransfer.manifest import Manifest
from styletransfer.onnx_file import OPERATORS
from styletransfer.sample_pair import make_content, make_style
from styletransfer.training.initial import initialise

WIDTH = {"width": 4}
# name of the architecture, parameters, size for ONNX
CASES = (
    ("transformer_net", WIDTH, None),
    ("transformer_net", WIDTH, "80x64"),
    ("resnet_generator", WIDTH | {"blocks": 6}, None),
    ("unet_generator", WIDTH | {"downs": 5}, None),
    ("unet_generator", WIDTH | {"downs": 5, "batch_norm": 0}, "64"),
    ("unet_generator", WIDTH | {"downs": 8}, "256"),
    ("adain", WIDTH, None),
    ("adain", WIDTH, "64"),
)


def make_weights(name: str, parameters: dict[str, int]) -> dict[str, torch.Tensor]:
    """Return weights of which every one shows in the picture."""
    network = build(name, parameters)
    initialise(network, 3)
    torch.manual_seed(3)
    weights = dict(network.state_dict())
    for key, value in weights.items():
        if value.ndim == 1:
            is_scale = key.endswith(("weight", "running_var"))
            weights[key] = 0.3 * torch.rand(value.shape) + (0.8 if is_scale else 0.1)
    last = [key for key in weights if key.endswith("weight")][-1]
    if name in ("transformer_net", "adain"):
        weights[last] = weights[last] * (100 if name == "transformer_net" else 3)
    return weights


def save(path: Path, name: str, parameters: dict[str, int]) -> Path:
    torch.save({"epoch": 3, "model": make_weights(name, parameters)}, path)
    return path


@pytest.mark.parametrize(("name", "parameters", "size"), CASES)
def test_an_exported_graph_paints_what_the_network_paints(
    name: str, parameters: dict[str, int], size: str | None, tmp_path: Path
) -> None:
    source = save(tmp_path / "mine.pth", name, parameters)
    out = tmp_path / "mine.onnx"
    weights = tmp_path / "mine.safetensors"
    options = ("--size", size) if size else ()
    assert main(["export", str(source), "--out", str(out), *options]) == 0
    assert main(["export", str(source), "--out", str(weights)]) == 0
    graph, network = (
        load_generator(
            path.read_bytes(),
            Manifest.model_validate_json(Path(f"{path}.manifest.json").read_text()),
        )
        for path in (out, weights)
    )
    multiple = ARCHITECTURES[name].size_multiple(parameters)
    # A picture that export itself did not try.
    height, width = {None: (2 * multiple + 30, multiple + 41), "80x64": (64, 80)}.get(
        size, (int((size or "0").partition("x")[0]),) * 2
    )
    side = max(height, width) + 7
    content, style = make_content(side)[-height:, -width:], make_style(side)[:height, :width]
    painted = stylise(network, content, style)
    assert painted.std() > 1
    assert np.abs(stylise(graph, content, style) - painted).max() < 0.05
    used = {node.op_type for node in onnx.load(out).graph.node}
    assert used <= OPERATORS


def test_weights_come_out_as_they_went_in_wherever_they_were_packed(tmp_path: Path) -> None:
    weights = make_weights("transformer_net", WIDTH)
    packed = {"generator": {f"module.{key}": value for key, value in weights.items()}, "step": 7}
    torch.save(packed, tmp_path / "last.pt")
    out = tmp_path / "mine.safetensors"
    assert main(["export", str(tmp_path / "last.pt"), "--out", str(out)]) == 0
    written = safetensors.torch.load_file(out)
    assert written.keys() == weights.keys()
    assert all(torch.equal(written[key], weights[key]) for key in weights)
    described = json.loads(Path(f"{out}.manifest.json").read_text())
    assert (described["architecture"], described["parameters"]) == ("transformer_net", WIDTH)


def test_an_export_that_paints_otherwise_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source = save(tmp_path / "mine.pth", "transformer_net", WIDTH)
    write = onnx_writing.write_onnx

    def write_wrongly(*arguments: object, **named: object) -> bytes:
        model = onnx.ModelProto.FromString(write(*arguments, **named))  # type: ignore[arg-type]
        for node in model.graph.node:
            if node.op_type == "InstanceNormalization":
                node.attribute[0].f = 1e-2
        return bytes(model.SerializeToString())

    monkeypatch.setattr(exporting, "write_onnx", write_wrongly)
    assert main(["export", str(source), "--out", str(tmp_path / "mine.onnx")]) == UNUSABLE
    assert "paints otherwise" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.pth"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["mine.pth", "--out", "mine.pt"], "end its name with .safetensors or .onnx"),
        (["none.pth", "--out", "a.onnx"], "there is no such file"),
        (["mine.pth", "--out", "none/a.onnx"], "is not a folder"),
        (["mine.pth", "--out", "there.onnx"], "--force"),
        (["mine.pth", "--out", "a.safetensors", "--size", "64"], "--size is for ONNX"),
        (["mine.pth", "--out", "a.onnx", "--size", "65"], "multiples of 4"),
        (["mine.pth", "--out", "a.onnx", "--architecture", "adain"], "are those of transformer"),
        (["mine.pth", "--out", "a.onnx", "--architecture", "other"], "only adain"),
        (["deep.pth", "--out", "a.onnx"], "--size 256"),
        (["there.onnx", "--out", "a.onnx"], "not a checkpoint"),
        (["text.pth", "--out", "a.onnx"], "not a checkpoint"),
    ],
)
def test_what_cannot_be_exported_is_said_with_what_to_do(
    options: list[str],
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    save(Path("mine.pth"), "transformer_net", WIDTH)
    save(Path("deep.pth"), "unet_generator", WIDTH | {"downs": 8})
    Path("there.onnx").write_text("something")
    Path("text.pth").write_text("something")
    before = sorted(tmp_path.iterdir())
    assert main(["export", *options]) == UNUSABLE
    assert told in capsys.readouterr().err
    assert sorted(tmp_path.iterdir()) == before
