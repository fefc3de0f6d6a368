"""State dicts of every form, opened in real sandboxes, and hostile ones."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from evaluation.sandbox import GeneratorJob, Limits, SandboxPool
from evaluation.sandbox.values import Pixels
from styletransfer.architectures import ARCHITECTURES
from styletransfer.checkpoint import load_generator
from styletransfer.errors import CheckpointRejected
from styletransfer.generators import build
from styletransfer.inference import stylise, to_pixels
from styletransfer.warm_samples import TINY, save_torch, weights_manifest

LIMITS = Limits(wall_s=60, memory_bytes=1 << 30)
ZIP, LEGACY = 0, 1


def weights_of(name: str) -> dict[str, Tensor]:
    torch.manual_seed(5)
    return dict(build(name, TINY).state_dict())


def on_cuda(data: bytes) -> bytes:
    """Say of every storage in a file that it was saved on a GPU."""

    def change(pickled: bytes) -> bytes:
        assert pickled.count(b"X\x03\x00\x00\x00cpu") == 1  # written once, then referred to
        return pickled.replace(b"X\x03\x00\x00\x00cpu", b"X\x06\x00\x00\x00cuda:0")

    if not data.startswith(b"PK"):
        return change(data)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    return pack(*((n, change(p) if n.endswith("data.pkl") else p) for n, p in parts.items()))


def with_tracked(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Add what batch and old instance normalisation leave in files."""
    norms = [key.removesuffix(".bias") for key in weights if key.endswith("in1.bias")]
    more = {f"{key}.num_batches_tracked": torch.tensor(7) for key in norms}
    return weights | more


WRAPPED: dict[str, Callable[[dict[str, Tensor]], Any]] = {
    "bare": OrderedDict,
    "state_dict, epoch, optimizer": lambda w: {
        "epoch": 3,
        "best": np.float64(0.25),
        "optimizer": {"state": {0: {"exp_avg": torch.zeros(3)}}, "param_groups": [{"lr": 1e-3}]},
        "state_dict": OrderedDict(w),
    },
    "model": lambda w: {"model": w, "epoch": 2},
    "params": lambda w: {
        "params": {k: nn.Parameter(v) if v.is_floating_point() else v for k, v in w.items()}
    },
    "generator and discriminator": lambda w: {
        "discriminator": {"a.weight": torch.zeros(2)},
        "generator": w,
    },
    "two levels": lambda w: {"model": {"netG": w, "netD": {"b": torch.ones(1)}}},
    "module. prefix": lambda w: {f"module.{key}": value for key, value in w.items()},
    "compiled and parallel": lambda w: {f"_orig_mod.module.{k}": v for k, v in w.items()},
    "a whole trainer": lambda w: {
        "state_dict": {f"netG.{key}": value for key, value in w.items()}
        | {"vgg.features.0.weight": torch.zeros(4)}
    },
    "one unknown name": lambda w: {"my_painter": w},
    "float64": lambda w: {k: v.double() if v.is_floating_point() else v for k, v in w.items()},
}


@pytest.mark.parametrize("form", [ZIP, LEGACY], ids=["zip", "legacy"])
@pytest.mark.parametrize("name", sorted(ARCHITECTURES))
def test_every_architecture_s_state_dict_paints_as_its_safetensors_do(
    pool: SandboxPool, tmp_path: Path, pixels: Pixels, name: str, form: int
) -> None:
    weights = weights_of(name)
    source, target = tmp_path / "upload", tmp_path / "converted"
    saved = save_torch({"state_dict": {f"module.{key}": value for key, value in weights.items()}})
    source.write_bytes(on_cuda(saved[form]))
    pool.convert(source, target, wall_s=30)
    manifest = weights_manifest(name)
    job = GeneratorJob(target, manifest.model_dump(mode="json"), pixels, pixels[::-1].copy())
    outputs = pool.run(job, LIMITS).outputs
    torch.set_num_threads(1)
    generator = load_generator(target.read_bytes(), manifest)
    pairs = zip(pixels, pixels[::-1], strict=True)
    assert np.array_equal(outputs, [to_pixels(stylise(generator, *pair)) for pair in pairs])


def converted(pool: SandboxPool, tmp_path: Path, data: bytes) -> dict[str, Tensor]:
    source, target = tmp_path / "upload", tmp_path / "converted"
    source.write_bytes(data)
    pool.convert(source, target, wall_s=30)
    return load_file(target)


@pytest.mark.parametrize("wrap", WRAPPED)
def test_the_generator_s_weights_are_found_wherever_a_script_put_them(
    pool: SandboxPool, tmp_path: Path, wrap: str
) -> None:
    weights = with_tracked(weights_of("transformer_net"))
    for data in save_torch(WRAPPED[wrap](weights)):
        found = converted(pool, tmp_path, data)
        assert found.keys() == weights.keys()
        assert all(torch.equal(found[key], value) for key, value in weights.items())


def test_encoder_and_decoder_are_joined(pool: SandboxPool, tmp_path: Path) -> None:
    weights = weights_of("adain")
    parts = {
        part: {k.partition(".")[2]: v for k, v in weights.items() if k.startswith(name)}
        for part, name in (("vgg", "encoder"), ("decoder", "decoder"))
    }
    assert converted(pool, tmp_path, save_torch(parts)[LEGACY]).keys() == weights.keys()


class Module(nn.Module):
    """Stands for a whole network, pickled."""


class Evil:
    """Would write a file where these tests run."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch evil",)


def pack(*entries: tuple[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return buffer.getvalue()


def repack(data: bytes, **changes: Any) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return pack(*((name, archive.read(name)) for name in archive.namelist()), **changes)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("make", "code", "fact"),
    [
        (lambda: save_torch(Module())[ZIP], "pickled_objects", "Module"),
        (lambda: save_torch(Module())[LEGACY], "pickled_objects", "Module"),
        (lambda: save_torch({"a": Evil()})[ZIP], "pickled_objects", "system"),
        (lambda: save_torch({"a": Evil()})[LEGACY], "pickled_objects", "system"),
        (lambda: save_torch([1, 2])[ZIP], "no_weights", "list"),
        (lambda: save_torch({"lr": 0.1})[LEGACY], "no_weights", "lr"),
        (
            lambda: save_torch({n: {"w": torch.zeros(2)} for n in ("G_A", "G_B")})[ZIP],
            "several_networks",
            "G_A",
        ),
        (lambda: save_torch({"a": torch.zeros(9)})[ZIP][:-40], "corrupt_file", "truncated"),
        (lambda: save_torch({"a": torch.zeros(9)})[LEGACY][:-9], "corrupt_file", "truncated"),
        (lambda: save_torch({"a": torch.zeros(9)})[LEGACY][:40], "corrupt_file", ""),
        (
            lambda: repack(
                save_torch({"a": torch.zeros(1 << 20)})[ZIP], compression=zipfile.ZIP_DEFLATED
            ),
            "corrupt_file",
            "zip_entries",
        ),
        (
            lambda: save_torch({"a": torch.zeros(1).expand(1 << 15, 1 << 20)})[ZIP],
            "corrupt_file",
            "tensor_size",
        ),
        (
            lambda: save_torch({"a": torch.zeros(2, 2).to_sparse()})[ZIP],
            "wrong_dtype",
            "sparse",
        ),
        (
            lambda: save_torch({"a": torch.zeros(2, dtype=torch.complex64)})[LEGACY],
            "wrong_dtype",
            "complex64",
        ),
        (lambda: pack(("a/data.pkl", b""), ("a/constants.pkl", b"")), "format_refused", "torch"),
        (lambda: pack(("a/data.pkl", b""), ("a/archive_format", b"")), "format_refused", "pt2"),
        (lambda: pack(("readme.txt", b"hello")), "format_refused", "zip"),
        (lambda: b"\x80\x02" + pickle.dumps(1), "corrupt_file", ""),
    ],
)
def test_what_holds_no_plain_weights_is_refused_for_what_it_is(
    pool: SandboxPool, tmp_path: Path, make: Callable[[], bytes], code: str, fact: str
) -> None:
    with pytest.raises(CheckpointRejected) as caught:
        converted(pool, tmp_path, make())
    assert caught.value.code == code, caught.value
    assert fact in str(caught.value.facts), caught.value
    assert not Path("evil").exists()
