import gzip
import io
import pickle
import zipfile
from collections.abc import Callable

import numpy as np
import onnx
import pytest
import safetensors.torch
import torch

from styletransfer.errors import CheckpointRejected
from styletransfer.sniff import HEAD_BYTES, sniff
from styletransfer.warm_samples import make_onnx


def save_torch(*, legacy: bool) -> bytes:
    buffer = io.BytesIO()
    torch.save({"a": torch.zeros(3)}, buffer, _use_new_zipfile_serialization=not legacy)
    return buffer.getvalue()


def save_torchscript() -> bytes:
    buffer = io.BytesIO()
    network = torch.jit.trace(torch.nn.Conv2d(3, 3, 1), torch.zeros(1, 3, 4, 4))  # type: ignore[no-untyped-call]
    torch.jit.save(network, buffer)
    return buffer.getvalue()


def save_numpy() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.zeros(3))
    return buffer.getvalue()


def save_zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("model.onnx", make_onnx())
    return buffer.getvalue()


def look(data: bytes) -> str:
    return sniff(data[:HEAD_BYTES], len(data), data[-65_536:])


def test_safetensors_and_onnx_are_recognised() -> None:
    assert look(safetensors.torch.save({"a": torch.zeros(3)})) == "safetensors"
    assert look(safetensors.torch.save({})) == "safetensors"
    assert look(make_onnx()) == "onnx"
    assert look(onnx.ModelProto(ir_version=8, producer_name="me").SerializeToString()) == "onnx"


def test_both_forms_of_torch_save_are_recognised() -> None:
    assert look(save_torch(legacy=True)) == "state_dict"
    assert look(save_torch(legacy=False)) == "state_dict"
    assert sniff(save_torch(legacy=True)[:64], 10**9) == "state_dict"
    buffer = io.BytesIO()
    torch.save({"a": 1}, buffer, pickle_protocol=5, _use_new_zipfile_serialization=False)
    assert look(buffer.getvalue()) == "state_dict"


def test_a_short_head_of_a_large_file_is_enough() -> None:
    assert sniff(make_onnx()[:64], 10**9) == "onnx"
    assert sniff(safetensors.torch.save({"a": torch.zeros(3)})[:64], 10**9) == "safetensors"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (lambda: pickle.dumps({"a": 1}), "pickle"),
        (save_zip, "zip"),
        (save_torchscript, "torchscript"),
        (lambda: gzip.compress(make_onnx()), "gzip"),
        (save_numpy, "numpy"),
        (lambda: b"\x89HDF\r\n\x1a\n" + b"\0" * 100, "hdf5"),
        (lambda: b"GGUF\x03\0\0\0" + b"\0" * 100, "gguf"),
        (lambda: b"\x1c\0\0\0TFL3" + b"\0" * 100, "tflite"),
        (lambda: b"name" + b"\0" * 253 + b"ustar\x0000", "tar"),
    ],
)
def test_formats_that_could_be_converted_are_refused_by_content(
    make: Callable[[], bytes], kind: str
) -> None:
    with pytest.raises(CheckpointRejected) as caught:
        look(make())
    assert (caught.value.code, caught.value.facts) == ("format_refused", {"kind": kind})


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "git_lfs_pointer"),
        (b"<!DOCTYPE html><html>Sign in</html>", "html"),
        (b"\n  <?xml version='1.0'?>", "html"),
        (b'{"error": "not found"}', "json"),
        (b'        {"eight": "spaces first"}', "json"),
        (b"Not found", "text"),
        ("fünfzig Zeichen".encode(), "text"),
        (("x" * (HEAD_BYTES - 1) + "ü").encode(), "text"),
        (b"a", "text"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 30, "picture"),
        (b"\xff\xd8\xff\xe0" + b"\0" * 30, "picture"),
        (b"\x7fELF\x02\x01\x01" + b"\0" * 30, "program"),
        (b"#!/bin/sh\nexit", "program"),
        (b"%PDF-1.7", "pdf"),
        (b"\0" * 64, "unknown"),
        (b"\xff" * 64, "unknown"),
        (b"\x80", "unknown"),
        (b"\x80\x09abcdefg", "unknown"),
        (b"\x08", "unknown"),
        (b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "unknown"),
    ],
)
def test_what_is_no_checkpoint_is_named(data: bytes, kind: str) -> None:
    with pytest.raises(CheckpointRejected) as caught:
        look(data)
    assert (caught.value.code, caught.value.facts) == ("not_a_checkpoint", {"kind": kind})


def test_an_empty_file_is_called_empty() -> None:
    with pytest.raises(CheckpointRejected) as caught:
        sniff(b"", 0)
    assert caught.value.code == "empty_file"


def test_random_bytes_are_never_anything_but_refused_or_recognised() -> None:
    rng = np.random.default_rng(1)
    for length in list(range(1, 40)) * 20:
        data = rng.bytes(length)
        try:
            assert look(data) in ("safetensors", "onnx", "state_dict")
        except CheckpointRejected:
            continue
