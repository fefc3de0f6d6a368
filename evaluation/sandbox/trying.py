"""Do with a file what a check does, and nothing else: no submission, no database.

The same look at its ends that the web server takes, the same conversion and the same run in fresh
sandboxes, on the test card.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from evaluation.sandbox.pool import SandboxPool
from evaluation.sandbox.values import GeneratorJob, Limits, SandboxUnavailable
from styletransfer.errors import CheckpointRejected
from styletransfer.manifest import Manifest
from styletransfer.sample_pair import make_content, make_style
from styletransfer.sniff import HEAD_BYTES, sniff

ACCEPTED, FAULT = "accepted", "platform_fault"
TAIL_BYTES = 65_536
_BESIDE = ".manifest.json"


@dataclass(frozen=True)
class Tried:
    """What became of a file.

    Attributes:
        code: ``accepted``, one of ``styletransfer.errors.REFUSALS``, or ``platform_fault``.
        log: what was printed inside, and the runner's own words.
    """

    code: str
    seconds: float
    facts: Mapping[str, Any] = field(default_factory=dict)
    log: str = ""


def try_file(pool: SandboxPool, path: Path, *, side: int, limits: Limits) -> Tried:
    """Have a file checked; a manifest may lie beside it, as ``NAME.manifest.json``."""
    started = time.monotonic()

    def ended(code: str, facts: Mapping[str, Any], log: str = "") -> Tried:
        return Tried(code, round(time.monotonic() - started, 3), facts, log)

    try:
        made = _run(pool, path, side=side, limits=limits)
    except CheckpointRejected as error:
        return ended(error.code, error.facts, "\n".join(getattr(error, "__notes__", ())))
    except SandboxUnavailable as error:
        return ended(FAULT, {"reason": error.reason})
    return ended(ACCEPTED, made)


def _run(pool: SandboxPool, path: Path, *, side: int, limits: Limits) -> dict[str, Any]:
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
        file.seek(max(0, size - TAIL_BYTES))
        found = sniff(head, size, file.read())
    manifest = _manifest_beside(path, found)
    with tempfile.TemporaryDirectory() as folder:
        if found == "state_dict":
            converted = Path(folder, "converted")
            pool.convert(path, converted, wall_s=limits.wall_s)
            path, found = converted, "safetensors"
        if manifest is not None:
            manifest |= {"format": found}
        pictures = make_content(side)[None], make_style(side)[None]
        made = pool.run(GeneratorJob(path, manifest, *pictures), limits)
    told = made.proposal.manifest.model_dump(mode="json") if made.proposal else manifest
    return {"manifest": told, **made.measure_memory()}


def _manifest_beside(path: Path, found: str) -> dict[str, Any] | None:
    beside = path.with_name(path.name + _BESIDE)
    if not beside.exists():
        return None
    try:
        manifest = Manifest.model_validate(json.loads(beside.read_text()))
    except (ValueError, ValidationError) as error:
        raise CheckpointRejected("format_mismatch", expected="a manifest", found="none") from error
    if manifest.format != found:
        raise CheckpointRejected("format_mismatch", expected=manifest.format, found=found)
    return manifest.model_dump(mode="json")


def is_checkpoint(path: Path) -> bool:
    """Tell files to try from manifests that lie beside them."""
    return path.is_file() and not path.name.endswith(_BESIDE)
