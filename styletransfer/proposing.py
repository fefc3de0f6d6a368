"""Guess a manifest from a file, so that nobody has to write one; torch-free, opens no pickle."""

from collections.abc import Iterable, Mapping

import numpy as np
import onnx
from pydantic import ValidationError

from styletransfer.architectures import ARCHITECTURES, Architecture, Shapes
from styletransfer.errors import CheckpointRejected
from styletransfer.manifest import Format, Manifest, Range
from styletransfer.onnx_file import fixed_sides, image_inputs, parse_onnx
from styletransfer.onnx_hints import Ending, Graph, Numbers, Scaling
from styletransfer.proposal import Proposal, Reason
from styletransfer.safetensors_file import FACTS_SHOWN, read_header, shorten
from styletransfer.sniff import HEAD_BYTES, sniff
from styletransfer.usual_manifest import LARGEST_MULTIPLE, usual_manifest

TAIL_BYTES = 65_536

# A file with so many of an architecture's weights is meant to be one, whatever is wrong with it.
_NEARLY_ALL = 0.8
_ENDS: Mapping[Range, tuple[float, float]] = {"0..1": (0, 1), "-1..1": (-1, 1), "0..255": (0, 255)}
# What networks like to see, and so bring their inputs to: the ends of intervals, channel by
# channel. The last two are without a mean colour, with and without the deviation taken out.
_MEAN, _DEVIATION = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
_LIKED: tuple[tuple[Numbers, Numbers], ...] = (
    (np.zeros(1), np.ones(1)),
    (-np.ones(1), np.ones(1)),
    (np.full(1, -0.5), np.full(1, 0.5)),
    (np.zeros(1), np.full(1, 255.0)),
    (np.full(1, -127.5), np.full(1, 127.5)),
    (-_MEAN / _DEVIATION, (1 - _MEAN) / _DEVIATION),
    (-_MEAN, 1 - _MEAN),
    (-255 * _MEAN, 255 * (1 - _MEAN)),
)
# Between the lengths of the last filters of generators in circulation: 0.8 for a range of one,
# 13 to 19 for a range of 255.
_LONG_FILTER = 4.0


def propose(data: bytes | memoryview) -> Proposal:
    """Return the manifest that a checkpoint speaks for.

    Args:
        data: the whole file.

    Raises:
        CheckpointRejected: no manifest would make a generator of it: it is of a format or of an
            architecture that is not accepted, damaged, or an ONNX graph without pictures to take.
    """
    found = sniff(bytes(data[:HEAD_BYTES]), len(data), bytes(data[-TAIL_BYTES:]))
    if found == "onnx":
        return _propose_onnx(data)
    if found == "state_dict":  # says nothing before it is converted
        raise CheckpointRejected("format_refused", kind="state_dict")
    entries = read_header(data).entries
    return propose_weights({key: entry.shape for key, entry in entries.items()})


def propose_weights(shapes: Shapes, container: Format = "safetensors") -> Proposal:
    """Return the manifest for a file of weights.

    Args:
        shapes: of the tensors, by their keys.
        container: the format of the file that holds them.

    Raises:
        CheckpointRejected: unknown_architecture.
    """
    architecture, parameters, reason = _recognise(shapes)
    usual = Reason("usual_for_architecture")
    manifest = usual_manifest(architecture, parameters, container)
    reasons = {
        "format": Reason("seen_in_file"),
        "architecture": reason,
        "parameters": reason,
        "inputs": Reason("part_of_architecture"),
        "input_range": usual,
        "output_range": usual,
        "channel_order": usual,
        "size": Reason("part_of_architecture"),
    }
    return Proposal(manifest, reasons)


def _recognise(shapes: Shapes) -> tuple[Architecture, dict[str, int], Reason]:
    nearest: tuple[float, Architecture, dict[str, int], Reason] | None = None
    for architecture in ARCHITECTURES.values():
        fitting = architecture.recognise(shapes)
        if fitting is not None:
            return architecture, fitting, Reason("weights_fit")
        guessed = architecture.guess(shapes)
        if guessed is None:
            continue
        expected = architecture.expected_shapes(guessed)
        there = len(expected.keys() & shapes.keys())
        share = there / len(expected)
        if share >= _NEARLY_ALL and (nearest is None or share > nearest[0]):
            reason = Reason("nearest_architecture", {"found": there, "expected": len(expected)})
            nearest = share, architecture, guessed, reason
    if nearest is None:
        raise CheckpointRejected(
            "unknown_architecture",
            problem="weights",
            found=[shorten(key) for key in list(shapes)[:FACTS_SHOWN]],
            known=list(ARCHITECTURES),
        )
    return nearest[1:]


def _propose_onnx(data: bytes | memoryview) -> Proposal:
    model, _ = parse_onnx(data)
    pictures = image_inputs(model.graph)
    names = _order_by_role(pictures)
    graph = Graph(model.graph)
    reasons = {
        "format": Reason("seen_in_file"),
        "architecture": Reason("graph_describes_itself"),
        "parameters": Reason("graph_describes_itself"),
        "inputs": _why_these_roles(names),
    }
    described: dict[str, object] = {
        "format": "onnx",
        "inputs": [
            {"role": role, "name": name}
            for role, name in zip(("content", "style"), names, strict=False)
        ],
    }
    with np.errstate(all="ignore"):  # a hostile graph may scale by anything
        found = {
            "size": _guess_size(graph, pictures[names[0]]),
            **_guess_ranges(graph, names[0], model.graph.output),
            "channel_order": _guess_order(graph.beginning(names[0])),
        }
    for name, (value, reason) in found.items():
        described[name], reasons[name] = value, reason
    try:
        return Proposal(Manifest.model_validate(described), reasons)
    except ValidationError as error:
        # Names that no manifest can hold: empty, too long, or with control characters.
        raise _wrong_inputs(names) from error


def _order_by_role(names: Iterable[str]) -> list[str]:
    """Return the content's input first.

    Raises:
        CheckpointRejected: wrong_inputs, unless there are one or two.
    """
    ordered = list(names)
    if len(ordered) not in (1, 2):
        raise _wrong_inputs(ordered)
    if len(ordered) == 2 and (_is_style(ordered[0]) or _is_content(ordered[1])):
        ordered.reverse()
    return ordered


def _wrong_inputs(names: list[str]) -> CheckpointRejected:
    return CheckpointRejected(
        "wrong_inputs",
        problem="count",
        expected=["content", "style"],
        found=[shorten(name) for name in names[:FACTS_SHOWN]],
    )


def _is_style(name: str) -> bool:
    return "style" in name.lower() and "content" not in name.lower()


def _is_content(name: str) -> bool:
    return "content" in name.lower() and "style" not in name.lower()


def _why_these_roles(names: list[str]) -> Reason:
    if len(names) == 1:
        return Reason("seen_in_file")
    if _is_style(names[1]):
        return Reason("named_style")
    return Reason("named_content" if _is_content(names[0]) else "in_their_order")


def _guess_size(graph: Graph, content: onnx.ValueInfoProto) -> tuple[object, Reason]:
    sides = fixed_sides(content)
    if len(sides) == 4 and sides[2] is not None and sides[3] is not None:
        return {"fixed": [sides[2], sides[3]]}, Reason("fixed_in_graph")
    multiple = min(graph.find_multiple(), LARGEST_MULTIPLE)
    if multiple == 1:
        return {"multiple_of": 1}, Reason("never_halved")
    return {"multiple_of": multiple}, Reason("halved_in_graph", {"multiple_of": multiple})


def _guess_ranges(
    graph: Graph, content: str, outputs: Iterable[onnx.ValueInfoProto]
) -> dict[str, tuple[object, Reason]]:
    taken = _range_by_scaling(graph.beginning(content))
    returned = _guess_output(graph.ending(next((each.name for each in outputs), "")))
    if taken and returned:
        return {"input_range": taken, "output_range": returned}
    if returned:
        return {
            "input_range": (returned[0], Reason("like_output")),
            "output_range": returned,
        }
    if taken:
        return {"input_range": taken, "output_range": (taken[0], Reason("like_input"))}
    usual: tuple[Range, Reason] = "0..1", Reason("usual")
    return {"input_range": usual, "output_range": usual}


def _guess_output(ending: Ending) -> tuple[Range, Reason] | None:
    if ending.bounds is not None:
        low, high = ending.bounds
        found = _range_between(low, high)
        if found is not None:
            facts = {"low": round(low, 3), "high": round(high, 3)}
            return found, Reason("bounded_by_last_layer", facts)
    scaled = _range_by_scaling(_inverse(ending.scaling))
    if scaled is not None:
        return scaled[0], Reason("scaled_at_end")
    if ending.weight_norm is None:
        return None
    length = ending.weight_norm * float(np.abs(ending.scaling.factor).mean())
    return ("0..255" if length > _LONG_FILTER else "0..1"), Reason("size_of_last_weights")


def _range_between(low: float, high: float) -> Range | None:
    """Return the range that bounds are near: some layers reach a little beyond it."""
    if not np.isfinite([low, high]).all() or low >= high:
        return None
    if high > 30:
        return "0..255"
    if not 0.5 <= high <= 2:
        return None
    return "-1..1" if low < -0.5 else "0..1"


def _inverse(scaling: Scaling) -> Scaling:
    return Scaling(1 / scaling.factor, -scaling.shift / scaling.factor)


def _range_by_scaling(scaling: Scaling) -> tuple[Range, Reason] | None:
    """Return the one range that the scaling brings to an interval that networks like."""
    if scaling.is_plain:
        return None
    fitting = [
        name
        for name, (low, high) in _ENDS.items()
        if any(_is_near(scaling.image_of(low, high), liked) for liked in _LIKED)
    ]
    return (fitting[0], Reason("scaled_at_start")) if len(fitting) == 1 else None


def _is_near(found: tuple[Numbers, Numbers], liked: tuple[Numbers, Numbers]) -> bool:
    span = float((liked[1] - liked[0]).max())
    # Mean colours come in either order: sorted, they are compared whatever it is.
    distances = [
        np.abs(np.sort(end) - np.sort(wanted)) for end, wanted in zip(found, liked, strict=True)
    ]
    return all(bool((distance <= span / 20).all()) for distance in distances)


def _guess_order(beginning: Scaling) -> tuple[object, Reason]:
    mean = -beginning.shift / beginning.factor
    if mean.size == _MEAN.size and np.isfinite(mean).all():
        # The mean colour of ImageNet, which nearly all networks take away, is reddish.
        for order, expected in (("RGB", _MEAN), ("BGR", _MEAN[::-1])):
            if np.allclose(mean / mean.mean(), expected / expected.mean(), rtol=0.02):
                return order, Reason("mean_colour_order")
    return "RGB", Reason("usual")
