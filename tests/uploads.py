"""Files and manifests to be submitted: enough for what the web tier looks at."""

import json
from collections.abc import Mapping
from itertools import count
from typing import Any

from django.core.files.uploadedfile import SimpleUploadedFile

from tests.factories import MANIFEST

_serial = count(1)

MANIFEST_JSON = json.dumps(MANIFEST)


def make_onnx(*, size: int = 200) -> bytes:
    """Return the outline of an ONNX file, different each time: a version and a graph."""
    graph = f"graph {next(_serial)} ".encode().ljust(size, b".")
    length = bytes([len(graph) & 0x7F | 0x80, len(graph) >> 7])
    return b"\x08\x08\x3a" + length + graph


def make_upload(content: bytes | None = None, *, name: str = "g.onnx") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, make_onnx() if content is None else content)


def make_body(content: bytes | None = None, **changes: Any) -> dict[str, Any]:
    """Return the parts of a submission; ``changes`` are made to its manifest."""
    manifest: Mapping[str, Any] = {**MANIFEST, **changes}
    return {"checkpoint": make_upload(content), "manifest": json.dumps(manifest)}
