"""Checkpoints that a training goes on from, whole or not at all."""

import os
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch

from styletransfer.training.config import InvalidTraining

FORM = 1
FILE_NAME = "checkpoint.pt"
# What may differ from run to run: none of it decides about a number.
_FREE = ("out", "save_every", "sample_every", "cache_mib", "start", "start_discriminator")


def write_checkpoint(folder: Path, state: Mapping[str, Any]) -> Path:
    """Replace a folder's checkpoint as a whole; a crash leaves the one before."""
    path = folder / FILE_NAME
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with draft.open("wb") as file:
            torch.save({"form": FORM, **state}, file)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    return path


def read_checkpoint(path: Path, config: Mapping[str, Any]) -> dict[str, Any]:
    """Read a checkpoint for a training of the same settings.

    Raises:
        InvalidTraining: it is not there, damaged, or of another training.
    """
    if not path.is_file():
        raise InvalidTraining(f"{path} is not there: nothing to resume, leave --resume out")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise InvalidTraining(f"{path} is damaged: {error}") from error
    if not isinstance(state, dict) or state.get("form") != FORM:
        raise InvalidTraining(f"{path} is not a checkpoint of this version")
    before = state["config"]
    changed = sorted(
        name for name in config if name not in _FREE and before.get(name) != config[name]
    )
    if changed:
        told = "; ".join(f"{name} was {before.get(name)!r}" for name in changed)
        raise InvalidTraining(f"{path} is of a training with other settings: {told}")
    return cast(dict[str, Any], state)
