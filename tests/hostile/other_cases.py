"""Whatever else people upload: archives, programs for torch, pages, pictures, pieces of files."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from collections.abc import Iterator, Mapping

import numpy as np
import onnx
import torch
from PIL import Image

from tests.hostile import onnx_graphs, safetensors_cases
from tests.hostile.case import ONNX, WEIGHTS, Bait, Case, fixed

_REFUSED, _NONE = "format_refused", "not_a_checkpoint"


def zipped(files: Mapping[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    """Write a zip; names are taken as they are."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def tarred(name: str, data: bytes, *, link: str | None = None) -> bytes:
    """Write a tar of one file, or of a link."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        info = tarfile.TarInfo(name)
        info.size = 0 if link else len(data)
        if link:
            info.type, info.linkname = tarfile.SYMTYPE, link
        archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def _case(name: str, data: bytes, code: str, kind: str | None = None) -> Case:
    return Case(f"other: {name}", fixed(data), code, kind)


class _Reader(torch.nn.Module):
    """Reads a file into pixels, as TorchScript may."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + torch.from_file(self.path, False, 4).sum()


def _scripted(bait: Bait) -> bytes:
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.script(_Reader(str(bait.secret))), buffer)
    return buffer.getvalue()


def _exported() -> bytes:
    program = torch.export.export(torch.nn.Conv2d(3, 3, 1), (torch.zeros(1, 3, 8, 8),))
    buffer = io.BytesIO()
    torch.export.save(program, buffer)
    return buffer.getvalue()


def _programs() -> Iterator[Case]:
    yield Case("other: TorchScript that reads a file", _scripted, _REFUSED, "torchscript")
    yield _case("a program of torch.export", _exported(), _REFUSED, "pt2")


def _archives() -> Iterator[Case]:
    graph = onnx_graphs.written(onnx_graphs.model())
    yield _case("a zip of an ONNX file", zipped({"model.onnx": graph}), _REFUSED, "zip")
    yield _case("a zip that climbs out", zipped({"../../../tmp/executed": b"x"}), _REFUSED, "zip")
    bomb = zipped({"data": bytes(50 << 20)}, zipfile.ZIP_DEFLATED)
    yield _case("a zip of 50 MB of nothing", bomb, _REFUSED, "zip")
    yield _case("a zip of a zip of a zip", zipped({"a": zipped({"b": bomb})}), _REFUSED, "zip")
    yield _case("a zip without files", zipped({}), _REFUSED, "zip")
    yield _case("a zip without its end", zipped({"a": b"x" * 99})[:60], _REFUSED, "zip")
    yield _case("a tar with a link", tarred("a", b"", link="/etc/passwd"), _REFUSED, "tar")
    yield _case("a tar that climbs out", tarred("../../executed", b"x"), _REFUSED, "tar")
    arrays = io.BytesIO()
    np.savez(arrays, w=np.zeros(3, np.float32))
    yield _case("arrays of NumPy", arrays.getvalue(), _REFUSED, "zip")
    linked = zipfile.ZipInfo("archive/data/0")
    linked.external_attr = 0o120777 << 16
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(linked, "/etc/passwd")
    yield _case("a zip of a link", buffer.getvalue(), _REFUSED)
    yield _case("a zip behind a page", b"<html></html>" + zipped({"a": b"x"}), _NONE, "html")
    many = zipped({f"f{i}": b"" for i in range(60_000)})
    yield _case("a zip of 60,000 files", many, _REFUSED, "zip")
    yield _case("gzip", gzip.compress(graph), _REFUSED, "gzip")
    for kind, magic in {
        "bzip2": b"BZh91AY&SY", "xz": b"\xfd7zXZ\x00\x00", "zstd": b"\x28\xb5\x2f\xfd\x04",
        "7z": b"7z\xbc\xaf\x27\x1c\x00", "rar": b"Rar!\x1a\x07\x01", "hdf5": b"\x89HDF\r\n\x1a\n",
        "numpy": b"\x93NUMPY\x01\x00", "gguf": b"GGUF\x03\x00\x00\x00",
        "tflite": b"\x1c\x00\x00\x00TFL3", "ort": b"\x1c\x00\x00\x00ORTM",
    }.items():  # fmt: skip
        yield _case(kind, magic + bytes(300), _REFUSED, kind)


def _nothing() -> Iterator[Case]:
    yield _case("empty", b"", "empty_file")
    for byte in (b"\0", b"{", b"\x80", b"P", b"\x08"):
        yield _case(f"one byte {byte!r}", byte, _NONE)
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
    yield _case("a pointer of git-lfs", pointer, _NONE, "git_lfs_pointer")
    yield _case("a page", b"<!DOCTYPE html><html><body>404</body></html>", _NONE, "html")
    yield _case("a page after a mark and spaces", b"\xef\xbb\xbf \n<html></html>", _NONE, "html")
    yield _case("JSON", b'{"weights": [1, 2]}', _NONE, "json")
    yield _case("text", b"these are my weights\n" * 9, _NONE, "text")
    yield _case("a shell script", b"#!/bin/sh\nid\n", _NONE, "program")
    yield _case("an ELF program", b"\x7fELF\x02\x01\x01" + bytes(99), _NONE, "program")
    yield _case("a Windows program", b"MZ\x90" + bytes(99), _NONE, "program")
    picture = io.BytesIO()
    Image.new("RGB", (8, 8)).save(picture, "PNG")
    yield _case("a picture", picture.getvalue(), _NONE, "picture")
    noise = np.random.default_rng(3).integers(0, 256, 5_000, dtype=np.uint8)
    yield _case("noise", b"\xff" + noise.tobytes(), _NONE)
    yield _case("zeros", bytes(5_000), _NONE)
    yield _case("text in UTF-16", "weights".encode("utf-16") * 99, _NONE, "unknown")
    yield _case("a model of TensorFlow", b"\x08\x01\x12\x04meta", "corrupt_file", "no_graph")


def _mistaken() -> Iterator[Case]:
    """Yield honest files under the wrong name, and two formats in one file."""
    graph = onnx_graphs.written(onnx_graphs.model())
    weights = safetensors_cases.honest()
    yield Case("other: ONNX called safetensors", fixed(graph), "format_mismatch", manifest=WEIGHTS)
    yield Case("other: safetensors called ONNX", fixed(weights), "format_mismatch", manifest=ONNX)
    # Whoever looks for a zip from the end finds one behind the graph.
    both = graph + zipped({"archive/data.pkl": b"\x80\x02."})
    yield _case("ONNX with a zip behind", both, "corrupt_file")
    trailing = onnx.ModelProto.FromString(graph)
    trailing.producer_name = "PK\x05\x06" + "\0" * 18
    yield _case("honest, ONNX that ends like a zip", trailing.SerializeToString(), "accepted")


def cases() -> list[Case]:
    """Return the whole family."""
    return [*_programs(), *_archives(), *_nothing(), *_mistaken()]
