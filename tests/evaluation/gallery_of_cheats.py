"""A small phase with real photographs and paintings, and generators that cheat in it."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from django.core.files.base import ContentFile
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from competitions.models import ImageRole, Pair, Phase, ReferenceImage, ReferenceSet
from competitions.services import freeze_reference_set
from evaluation.demo.phases import demo_phases
from evaluation.models import EvaluationRun
from evaluation.tasks import evaluate_submission
from styletransfer.images import encode_png, pixels_sha256
from styletransfer.surrogates import BY_ROLE, PINS
from styletransfer.values import Image, ReferenceImages
from submissions.models import Submission
from submissions.states import Status
from tests.factories import make_phase, make_recipe, make_submission

SIDE = 128
PAIRS = 4
REALS = 12
METRICS = ["content", "style", "total", "fid_pytorch", "content_relative", "style_relative"]


def shrink(pixels: Image) -> Image:
    """Shrink a picture of the demo to the side that is quick to score."""
    step = len(pixels) / SIDE
    edges = np.round(np.arange(SIDE + 1) * step).astype(int)
    rows = np.add.reduceat(pixels.astype(np.int64), edges[:-1], axis=0)
    blocks = np.add.reduceat(rows, edges[:-1], axis=1)
    areas = np.diff(edges)[:, None] * np.diff(edges)[None, :]
    shrunk: Image = (blocks / areas[..., None]).astype(np.uint8)
    return shrunk


def demo_references() -> ReferenceImages:
    """Take photographs and paintings of the demo: noise would be easy to tell apart."""
    demo = demo_phases()[1]
    styles = [shrink(image.pixels) for image in demo.styles[:2]]
    return ReferenceImages(
        contents=[shrink(image.pixels) for image in demo.contents[:PAIRS]],
        styles=styles,
        pairs=[(number, number % len(styles)) for number in range(PAIRS)],
        reals=[shrink(image.pixels) for image in demo.reals[:REALS]],
        sha256="",
    )


def open_phase(references: ReferenceImages, **fields: Any) -> Phase:
    """Store the pictures and open a phase that scores against them with the surrogates."""
    made = ReferenceSet.objects.create(name="photographs", image_size=SIDE)
    rows: dict[str, list[ReferenceImage]] = {}
    for role, images in (
        (ImageRole.CONTENT, references.contents),
        (ImageRole.STYLE, references.styles),
        (ImageRole.REAL, references.reals),
    ):
        rows[role] = [
            ReferenceImage.objects.create(
                reference_set=made,
                role=role,
                position=position,
                name=f"{role}-{position}",
                file=ContentFile(encode_png(pixels), name="reference.png"),
                pixels_sha256=pixels_sha256(pixels),
            )
            for position, pixels in enumerate(images)
        ]
    for position, (content, style) in enumerate(references.pairs):
        Pair.objects.create(
            reference_set=made,
            position=position,
            content=rows[ImageRole.CONTENT][content],
            style=rows[ImageRole.STYLE][style],
        )
    freeze_reference_set(made)
    return make_phase(
        reference_set=made,
        recipe=make_recipe(metrics=METRICS),
        extractors={role: PINS[name] for role, name in BY_ROLE.items()},
        **fields,
    )


@dataclass(frozen=True)
class Entry:
    """A checkpoint with its manifest."""

    checkpoint: bytes
    manifest: Mapping[str, Any]


def evaluate(entry: Entry, phase: Phase, **fields: Any) -> EvaluationRun:
    """Let the worker's own task run and score an entry, in a real sandbox."""
    queued = make_submission(
        phase=phase,
        status=Status.QUEUED,
        checkpoint=ContentFile(entry.checkpoint, name="checkpoint.bin"),
        size_bytes=len(entry.checkpoint),
        sha256=hashlib.sha256(entry.checkpoint).hexdigest(),
        manifest=dict(entry.manifest),
        manifest_sha256=hashlib.sha256(json.dumps(dict(entry.manifest)).encode()).hexdigest(),
        **fields,
    )
    evaluate_submission(str(queued.pk))
    queued = Submission.objects.get(pk=queued.pk)
    assert queued.status == Status.SCORED, (queued.failure, queued.runs.get().log)
    return queued.runs.get()


def flags_of(run: EvaluationRun) -> dict[str, list[int]]:
    """Return the pairs of each flag on a run's card, by its code."""
    assert run.card is not None
    return {flag["code"]: flag["pairs"] for flag in run.card["flags"]}


# --- Graphs ---------------------------------------------------------------------------------
def graph(
    nodes: Sequence[NodeProto],
    weights: Mapping[str, NDArray[Any]],
    *roles: str,
) -> Entry:
    """Write an ONNX generator on the scale 0..255 from its inputs to ``output``."""
    roles = roles or ("content",)
    shape: list[int | str] = [1, 3, "h", "w"]
    model = helper.make_model(
        helper.make_graph(
            list(nodes),
            "cheat",
            [helper.make_tensor_value_info(role, TensorProto.FLOAT, shape) for role in roles],
            [helper.make_tensor_value_info("output", TensorProto.FLOAT, shape)],
            [numpy_helper.from_array(value, name) for name, value in weights.items()],
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    return Entry(
        model.SerializeToString(),
        {
            "format": "onnx",
            "architecture": None,
            "parameters": {},
            "inputs": [{"role": role, "name": role} for role in roles],
            "input_range": "0..255",
            "output_range": "0..255",
            "channel_order": "RGB",
            "size": {"multiple_of": 1},
        },
    )


def shifted_copy(role: str) -> Entry:
    """Return an input, moved by a pixel and under a pattern of faint noise."""
    random = np.random.default_rng(0)
    noise = random.normal(0, 6, (1, 3, SIDE, SIDE)).astype(np.float32)
    begins, ends = np.array([0, 0, 1, 1], np.int64), np.array([0, 0, -1, -1], np.int64)
    nodes = [
        helper.make_node("Pad", [role, "moved"], ["padded"], mode="edge"),
        helper.make_node("Add", ["padded", "noise"], ["output"]),
    ]
    weights: dict[str, NDArray[Any]] = {"moved": np.concatenate([begins, ends]), "noise": noise}
    return graph(nodes, weights, "content", "style")


def recalls(contents: Sequence[Image], answers: Sequence[Image]) -> Entry:
    """Recognise each content image by a projection and return the picture stored for it.

    The graph takes the content image's inner products with fixed random patterns, looks for the
    nearest known one and gathers the stored picture: a table of pixels, in the guise of a network.
    """
    patterns = np.random.default_rng(0).normal(size=(SIDE * SIDE * 3, 16)).astype(np.float32)
    flat = np.stack([_planes(image).reshape(-1) for image in contents])
    known = (flat @ patterns).astype(np.float32)  # (K, 16)
    nodes = [
        helper.make_node("Reshape", ["content", "row"], ["flat"]),
        helper.make_node("MatMul", ["flat", "patterns"], ["seen"]),
        helper.make_node("Sub", ["seen", "known"], ["apart"]),
        helper.make_node("ReduceSumSquare", ["apart"], ["distance"], axes=[1], keepdims=0),
        helper.make_node("ArgMin", ["distance"], ["which"], axis=0, keepdims=1),
        helper.make_node("Gather", ["answers", "which"], ["output"], axis=0),
    ]
    weights: dict[str, NDArray[Any]] = {
        "row": np.array([1, -1], np.int64),
        "patterns": patterns,
        "known": known,
        "answers": np.stack([_planes(image) for image in answers]),
    }
    return graph(nodes, weights)


def _planes(image: Image) -> NDArray[np.float32]:
    return image.transpose(2, 0, 1).astype(np.float32)
