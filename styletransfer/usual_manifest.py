"""The manifest that nearly all checkpoints of an architecture were trained for; torch-free."""

from collections.abc import Mapping

from styletransfer.architectures import Architecture
from styletransfer.manifest import Format, Manifest

LARGEST_MULTIPLE = 64


def usual_manifest(
    architecture: Architecture, parameters: Mapping[str, int], container: Format
) -> Manifest:
    """Describe a file of weights, by what is usual where the weights don't tell."""
    roles = ("content", "style")[: architecture.inputs]
    return Manifest.model_validate(
        {
            "format": container,
            "architecture": architecture.name,
            "parameters": parameters,
            "inputs": [{"role": role, "name": role} for role in roles],
            "input_range": architecture.usual_range,
            "output_range": architecture.usual_range,
            "size": {"multiple_of": min(architecture.size_multiple(parameters), LARGEST_MULTIPLE)},
        }
    )
