"""Keep tensors between runs, in files that are either right or made anew."""

import contextlib
import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from styletransfer.download import sha256_file

ReadTensor = Callable[[str], Tensor]

log = logging.getLogger(__name__)

_DIGITS = 16


def recall(folder: Path | None, key: str, make: Callable[[], dict[str, Tensor]]) -> ReadTensor:
    """Return a reader of the tensors stored under ``key``; make and store them if need be.

    A file's name carries its own hash: half-written and damaged files are found out and replaced,
    and one rename publishes both. Without a folder, or with one that can't be written, the tensors
    stay in memory; else they are read as they are asked for.
    """
    if folder is None:
        return make().__getitem__
    found = _find(folder, key)
    if found is not None:
        return found
    tensors = make()
    try:
        return _reader(_store(folder, key, tensors))
    except (OSError, SafetensorError) as error:
        # A full disk slows the next start down; it need not stop this one.
        log.warning("can't keep reference features in %s: %s", folder, error)
        return tensors.__getitem__


def _find(folder: Path, key: str) -> ReadTensor | None:
    for path in sorted(folder.glob(f"{key}.*.safetensors")):
        with contextlib.suppress(OSError, SafetensorError):
            if sha256_file(path)[:_DIGITS] == path.name.split(".")[1]:
                return _reader(path)
            log.warning("%s is damaged: it is made anew", path)
            path.unlink()
    return None


def _store(folder: Path, key: str, tensors: Mapping[str, Tensor]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    # The process's number: two workers may make the same file at once; either's is right.
    draft = folder / f".{key}.{os.getpid()}.part"
    try:
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, draft)
        path = folder / f"{key}.{sha256_file(draft)[:_DIGITS]}.safetensors"
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    return path


def _reader(path: Path) -> ReadTensor:
    file = safe_open(path, framework="pt")

    def read(name: str) -> Tensor:
        # A copy: what the library returns may lie in the file, at an address of any alignment,
        # and vectorised sums may depend on that.
        tensor: Tensor = file.get_tensor(name)  # type: ignore[no-untyped-call]
        return tensor.clone(memory_format=torch.contiguous_format)

    return read
