"""What a participant says about a checkpoint: how to build the generator and how to feed it."""

import json
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    StrictInt,
    StringConstraints,
    Tag,
    model_validator,
)
from pydantic_core import PydanticCustomError

from styletransfer.architectures import ARCHITECTURES, Architecture

Format = Literal["safetensors", "onnx", "state_dict"]
Role = Literal["content", "style"]
Range = Literal["0..1", "-1..1", "0..255", "imagenet"]
ChannelOrder = Literal["RGB", "BGR"]
# No control characters: PostgreSQL can't store NUL in JSON, and names are shown in messages.
InputName = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\p{Cc}]+$")]
Side = Annotated[StrictInt, Field(ge=1, le=8192)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Input(_Part):
    """An image the generator takes; the name matters for ONNX only."""

    role: Role
    name: InputName


class MultipleOf(_Part):
    """The generator takes any size whose sides are multiples of this number."""

    multiple_of: Annotated[StrictInt, Field(ge=1, le=64)]


class Fixed(_Part):
    """The generator takes one size only: (height, width)."""

    fixed: tuple[Side, Side]


def _which_size(value: Any) -> str:
    is_fixed = "fixed" in value if isinstance(value, dict) else isinstance(value, Fixed)
    return "fixed" if is_fixed else "multiple_of"


Size = Annotated[
    Annotated[MultipleOf, Tag("multiple_of")] | Annotated[Fixed, Tag("fixed")],
    Discriminator(_which_size),
]


class Manifest(_Part):
    """What goes with a checkpoint: see docs/api.md for an example."""

    format: Format
    architecture: Annotated[str, StringConstraints(max_length=100)] | None = None
    parameters: dict[str, StrictInt] = Field(default_factory=dict, max_length=16)
    inputs: tuple[Input, ...] = Field(
        default=(Input(role="content", name="content"),), min_length=1, max_length=2
    )
    input_range: Range
    output_range: Range
    channel_order: ChannelOrder = "RGB"
    size: Size = MultipleOf(multiple_of=4)

    @model_validator(mode="after")
    def _check_inputs(self) -> Self:
        roles = [image.role for image in self.inputs]
        if "content" not in roles:
            raise PydanticCustomError("no_content_input", "One input must have the role content.")
        if len(set(roles)) != len(roles):
            raise PydanticCustomError("repeated_role", "Two inputs may not have the same role.")
        names = [image.name for image in self.inputs]
        if len(set(names)) != len(names):
            raise PydanticCustomError("repeated_name", "Two inputs may not have the same name.")
        return self

    @model_validator(mode="after")
    def _check_architecture(self) -> Self:
        if self.format == "onnx":
            self._refuse_architecture()
            return self
        if self.architecture is None:
            raise PydanticCustomError(
                "architecture_missing",
                "A file of weights needs an architecture: {known}. For any other network export "
                'the generator to ONNX and set "format": "onnx", "architecture": null.',
                {"known": _known_names()},
            )
        if self.architecture not in ARCHITECTURES:
            raise PydanticCustomError(
                "unknown_architecture",
                'There is no architecture "{name}" here, only {known}. Export the generator to '
                'ONNX instead and set "format": "onnx", "architecture": null.',
                {"name": self.architecture, "known": _known_names()},
            )
        self._check_parameters(ARCHITECTURES[self.architecture])
        return self

    def _refuse_architecture(self) -> None:
        if self.architecture is not None:
            raise PydanticCustomError(
                "architecture_not_for_onnx",
                "An ONNX file describes its own network: set architecture to null.",
            )
        if self.parameters:
            raise PydanticCustomError(
                "parameters_not_for_onnx",
                "An ONNX file describes its own network: leave parameters empty.",
            )

    def _check_parameters(self, architecture: Architecture) -> None:
        for name, value in self.parameters.items():
            parameter = architecture.parameters.get(name)
            if parameter is None:
                raise PydanticCustomError(
                    "unknown_parameter",
                    '{architecture} has no parameter "{name}", only {known}.',
                    {
                        "architecture": architecture.name,
                        "name": name,
                        "known": ", ".join(architecture.parameters),
                    },
                )
            if not parameter.allows(value):
                raise PydanticCustomError(
                    "parameter_out_of_range",
                    "{name} of {architecture} must be {allowed}, not {value}.",
                    {
                        "architecture": architecture.name,
                        "name": name,
                        "allowed": parameter.describe(),
                        "value": value,
                    },
                )
        if len(self.inputs) != architecture.inputs:
            raise PydanticCustomError(
                "wrong_number_of_inputs",
                "{architecture} takes {expected} image(s), the manifest lists {found}.",
                {
                    "architecture": architecture.name,
                    "expected": architecture.inputs,
                    "found": len(self.inputs),
                },
            )
        # Written out in full, so that two manifests meaning the same are the same.
        object.__setattr__(self, "parameters", architecture.fill_in(self.parameters))

    def roles(self) -> tuple[str, ...]:
        """Return the roles in the order of the inputs."""
        return tuple(image.role for image in self.inputs)

    def canonical_json(self) -> str:
        """Write the manifest with sorted keys and no spaces, defaults included."""
        return json.dumps(
            self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"), ensure_ascii=False
        )


def _known_names() -> str:
    return ", ".join(ARCHITECTURES)
