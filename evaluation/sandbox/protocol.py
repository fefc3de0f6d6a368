"""Read what the runner says. Everything here may have been written by an attacker.

Messages are JSON objects of at most ``MAX_MESSAGE`` bytes, one per packet::

    {"ready": true}                               warmed up; before it knows of any upload
    {"confined": true}                            the second filter is on, the upload comes next
    {"fault": "..."}                              in the place of "confined": our fault
    {"proposed": {..}, "reasons": {..}}           the manifest it has read, where none was given
    {"done": 3}                                   three pictures are written
    {"ok": true, "load_s": .., "run_s": .., "parameters": .., "memory_bytes": ..,
     "needed_bytes": .., "log": ".."}
    {"converted": 1704700}                        so many bytes of safetensors are written
    {"code": "wrong_keys", "facts": {..}, "log": ".."}
"""

from __future__ import annotations

import json
import math
import unicodedata
from dataclasses import dataclass, field

from pydantic import ValidationError

from styletransfer.errors import REFUSALS
from styletransfer.manifest import Manifest
from styletransfer.proposal import SENTENCES, Reason

MAX_MESSAGE = 4096
MAX_LOG = 600
MAX_TEXT = 200
_MAX_ITEMS = 10
_MAX_INTEGER = 10**15

Fact = str | int | float | bool | None | list["Fact"]


class Untrue(Exception):
    """The message is not one that our runner sends."""


@dataclass(frozen=True)
class Confined:
    """The runner is about to read the upload."""


@dataclass(frozen=True)
class Fault:
    """The runner could not confine itself."""

    reason: str


@dataclass(frozen=True)
class Progress:
    """So many pictures are written, it says."""

    done: int


@dataclass(frozen=True)
class Proposed:
    """The manifest that it runs by, it says, with a reason for each field."""

    manifest: Manifest
    reasons: dict[str, Reason]


@dataclass(frozen=True)
class Finished:
    """It says that it is done."""

    load_s: float
    run_s: float
    parameters: int
    memory_bytes: int
    needed_bytes: int
    log: str


@dataclass(frozen=True)
class Converted:
    """It says how long the file is that it has written."""

    size: int


@dataclass(frozen=True)
class Refused:
    """It says why it could not do it."""

    code: str
    facts: dict[str, Fact] = field(default_factory=dict)
    log: str = ""


Message = Confined | Fault | Proposed | Progress | Finished | Converted | Refused


def read_ready(message: bytes) -> str | None:
    """Return None for a good first message, else what is wrong."""
    if not message:
        return "The sandbox ended before it was ready."
    try:
        said = _object(message)
    except Untrue:
        return "The sandbox's first message was not understood."
    if "fault" in said:
        return f"The sandbox could not start: {clean_text(said['fault'], MAX_LOG)}"
    return None if said.get("ready") is True else "The sandbox's first message was not READY."


def read_message(message: bytes) -> Message:
    """Parse and bound one message.

    Raises:
        Untrue: too long, not JSON, unknown, or of wrong types.
    """
    said = _object(message)
    if said.get("confined") is True:
        return Confined()
    if "fault" in said:
        return Fault(clean_text(said["fault"], MAX_LOG))
    if type(done := said.get("done")) is int:
        return Progress(done)
    if "proposed" in said:
        return Proposed(_manifest(said["proposed"]), _reasons(said.get("reasons")))
    if type(size := said.get("converted")) is int:
        return Converted(size)
    log = clean_text(said.get("log", ""), MAX_LOG)
    if said.get("ok") is True:
        return Finished(
            load_s=_seconds(said.get("load_s")),
            run_s=_seconds(said.get("run_s")),
            parameters=_count(said.get("parameters", 0)),
            memory_bytes=_count(said.get("memory_bytes", 0)),
            needed_bytes=_count(said.get("needed_bytes", 0)),
            log=log,
        )
    if isinstance(code := said.get("code"), str) and code in REFUSALS:
        return Refused(code, _facts(said.get("facts", {})), log)
    raise Untrue


def _manifest(value: object) -> Manifest:
    try:
        return Manifest.model_validate(value)
    except ValidationError as error:
        raise Untrue from error


def _reasons(value: object) -> dict[str, Reason]:
    if not isinstance(value, dict):
        raise Untrue
    reasons = {}
    for name, said in value.items():
        if name not in Manifest.model_fields or not isinstance(said, dict):
            raise Untrue
        if said.get("code") not in SENTENCES:
            raise Untrue
        reasons[name] = Reason(said["code"], _facts(said.get("facts", {})))
    return reasons


def clean_text(text: object, length: int) -> str:
    """Cut to ``length`` and drop what could steer a terminal or turn a line around."""
    kept = (c if c != "\n" else " " for c in str(text)[: 4 * length])
    return "".join(c for c in kept if unicodedata.category(c)[0] != "C")[:length]


def _object(message: bytes) -> dict[str, object]:
    if len(message) > MAX_MESSAGE:
        raise Untrue
    try:
        said = json.loads(message)
    except (ValueError, RecursionError) as error:
        raise Untrue from error
    if not isinstance(said, dict):
        raise Untrue
    return said


def _seconds(value: object) -> float:
    if type(value) not in (int, float) or not 0 <= float(str(value)) < math.inf:
        raise Untrue
    return min(float(str(value)), 1e9)


def _count(value: object) -> int:
    if type(value) is not int or not 0 <= value <= _MAX_INTEGER:
        raise Untrue
    return value


def _facts(facts: object) -> dict[str, Fact]:
    if not isinstance(facts, dict):
        raise Untrue
    kept = list(facts.items())[:_MAX_ITEMS]
    return {name: _fact(value) for name, value in kept if name.isidentifier() and len(name) <= 40}


def _fact(value: object, *, depth: int = 0) -> Fact:
    match value:
        case None | bool():
            return value
        case int():
            return max(-_MAX_INTEGER, min(value, _MAX_INTEGER))
        case float():
            return value if math.isfinite(value) else None
        case list() if depth < 2:
            return [_fact(item, depth=depth + 1) for item in value[:_MAX_ITEMS]]
        case _:
            return clean_text(value, MAX_TEXT)
