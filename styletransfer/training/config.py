"""How to train, as one frozen value: from a TOML file, from flags, or both. Free of torch."""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args, get_origin, get_type_hints

from styletransfer.architectures import ARCHITECTURES
from styletransfer.errors import StyleTransferError
from styletransfer.recipe import Normalization, Recipe

Mode = Literal["single", "collection", "arbitrary"]
Schedule = Literal["linear", "cosine", "constant"]
Precision = Literal["float32", "tf32", "bfloat16", "float16"]
DiscriminatorNorm = Literal["instance", "spectral"]


class InvalidTraining(StyleTransferError, ValueError):
    """A configuration contradicts itself; it says what to change."""


@dataclass(frozen=True)
class TrainingConfig:
    """Everything that decides about a training but the pictures themselves.

    Losses are relative: content 1 is what pasting the style would cost, style 1 is what copying the
    photograph would. So alpha and beta mean the same for every feature network and picture size.
    """

    contents: Annotated[str, "folder of photographs"] = ""
    styles: Annotated[str, "a painting, or a folder of them"] = ""
    reals: Annotated[str, "folder of paintings for the discriminator (default: the styles)"] = ""
    out: Annotated[str, "folder for checkpoints and the trained generator"] = "training"
    start: Annotated[str, "safetensors file of a generator to go on from"] = ""
    start_discriminator: Annotated[str, "safetensors file of a discriminator to go on from"] = ""

    mode: Annotated[Mode, "one painting, all of a folder as one style, or any style"] = "single"
    architecture: Annotated[str, "one of the architectures of manifests"] = "transformer_net"
    parameters: Annotated[Mapping[str, int], "of the architecture, such as width=16"] = field(
        default_factory=dict
    )

    features: Annotated[str, "name of a feature network, or a TorchScript file of one"] = (
        "vgg19-imagenet1k-v1"
    )
    content_layer: Annotated[str, "of the content loss"] = "relu4_2"
    style_layers: Annotated[tuple[str, ...], "of the style loss"] = Recipe().style_layers
    style_weights: Annotated[tuple[float, ...], "one for each style layer (default: equal)"] = ()
    normalization: Annotated[Normalization, "of the style loss: gatys or spatial"] = "gatys"

    alpha: Annotated[float, "weight of the content loss"] = 1.0
    beta: Annotated[float, "weight of the style loss"] = 1.0
    gamma: Annotated[float, "weight of the adversarial loss; 0 trains no discriminator"] = 0.0
    relative_to_each: Annotated[
        bool, "losses relative to each photograph's own anchors, not to all photographs' medians"
    ] = False

    steps: Annotated[int, "of generator and discriminator in turn"] = 2000
    copying_steps: Annotated[int, "at the start, which teach the generator to copy"] = 200
    batch: Annotated[int, "photographs in a step, over all processes"] = 1
    accumulate: Annotated[int, "parts that a batch is computed in, to save memory"] = 1
    judged: Annotated[int, "paintings in a step of the discriminator, over all processes"] = 4
    size: Annotated[int, "side of the pictures in pixels"] = 256
    photo_size: Annotated[
        int, "shorter side that pictures are thought to have; crops of size are cut out of it"
    ] = 256
    augment: Annotated[bool, "random crops and mirror images; else the central square"] = True
    smallest_crop: Annotated[float, "smallest side of a random crop, of the shorter side"] = 0.5
    cache_mib: Annotated[int, "memory for pictures and content features that come again"] = 1024
    seed: Annotated[int, "decides about all that is random"] = 0

    generator_rate: Annotated[float, "Adam's learning rate"] = 0.002
    discriminator_rate: Annotated[float, "Adam's learning rate"] = 0.001
    generator_beta1: Annotated[float, "Adam's first decay"] = 0.9
    discriminator_beta1: Annotated[float, "Adam's first decay"] = 0.5
    schedule: Annotated[Schedule, "of both rates: linear falls in the second half to 0"] = "linear"
    clip_norm: Annotated[float, "largest norm of gradients; 0 for any"] = 0.0
    ema: Annotated[float, "decay of the averaged weights that are saved; 0 for no average"] = 0.0

    ndf: Annotated[int, "width of the discriminator"] = 16
    discriminator_norm: Annotated[DiscriminatorNorm, "of the discriminator"] = "instance"
    pool: Annotated[int, "outputs kept to be shown to the discriminator again"] = 50
    photo_share: Annotated[
        float, "weight of photographs among what the discriminator calls not real; the brief has 0"
    ] = 0.0
    r1: Annotated[float, "weight of the gradient penalty on paintings"] = 0.0
    smoothing: Annotated[float, "how far below 1 paintings are to be judged"] = 0.0

    guards: Annotated[bool, "watch for spikes, NaN, a discriminator that wins, and collapse"] = True
    snapshot_every: Annotated[int, "steps between the states that a rollback goes back to"] = 100
    save_every: Annotated[int, "steps between checkpoints"] = 500
    sample_every: Annotated[int, "steps between grids of samples"] = 250

    device: Annotated[str, "cpu, cuda, cuda:1, or auto for a GPU if there is one"] = "auto"
    threads: Annotated[int, "of the CPU; another number changes the last bits"] = 1
    precision: Annotated[Precision, "of the networks on a GPU"] = "float32"
    compile: Annotated[bool, "run the generator through torch.compile"] = False

    def __post_init__(self) -> None:
        """Refuse what contradicts itself.

        Raises:
            InvalidTraining: with what to change.
        """
        for problem in self._find_problems():
            raise InvalidTraining(problem)

    def _find_problems(self) -> Iterator[str]:
        if self.architecture not in ARCHITECTURES:
            yield f"architecture {self.architecture!r} is none of {', '.join(ARCHITECTURES)}"
            return
        architecture = ARCHITECTURES[self.architecture]
        for name, value in self.parameters.items():
            if name not in architecture.parameters:
                yield f"{self.architecture} has no parameter {name!r}"
            elif not architecture.parameters[name].allows(value):
                allowed = architecture.parameters[name].describe()
                yield f"parameters: {name} may be {allowed}, not {value}"
        if (architecture.inputs == 2) != (self.mode == "arbitrary"):
            yield (
                f"mode {self.mode} does not fit {self.architecture}, which takes "
                f"{architecture.inputs} picture(s): arbitrary needs two, the others one"
            )
        for setting in list_settings():
            yield from _check_value(setting, getattr(self, setting.name))
        multiple = architecture.size_multiple(self.parameters)
        if self.size % multiple:
            yield f"size has to be a multiple of {multiple} for {self.architecture}"
        if self.batch % self.accumulate:
            yield "batch has to be a multiple of accumulate"
        if self.style_weights and len(self.style_weights) != len(self.style_layers):
            yield "style_weights needs as many numbers as there are style_layers"

    @property
    def recipe(self) -> Recipe:
        """The layers, their weights and the normalisation of the losses, as scoring has them."""
        equal = (1 / len(self.style_layers),) * len(self.style_layers)
        return Recipe(
            content_layer=self.content_layer,
            style_layers=self.style_layers,
            style_weights=self.style_weights or equal,
            normalization=self.normalization,
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        plain = asdict(self) | {"parameters": dict(self.parameters)}
        return {key: list(value) if isinstance(value, tuple) else value
                for key, value in plain.items()}  # fmt: skip

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Self:
        """Make a configuration of plain values, as TOML and JSON have them.

        Raises:
            InvalidTraining: a name or a kind of value is wrong.
        """
        known = {each.name for each in fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise InvalidTraining(f"no such setting: {', '.join(unknown)}")
        given: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in values.items()
        }
        return cls(**given)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a TOML file.

        Raises:
            InvalidTraining: it is not TOML, or holds what can't be meant.
        """
        return cls.from_mapping(read_toml(path))

    def changed(self, **values: Any) -> Self:
        """Return a copy with other values."""
        return replace(self, **values)


POSITIVE = {
    "steps", "batch", "accumulate", "judged", "size", "ndf", "threads", "snapshot_every",
    "save_every", "sample_every", "generator_rate", "discriminator_rate",
}  # fmt: skip
SHARES = {"photo_share", "smoothing", "smallest_crop"}


@dataclass(frozen=True)
class Setting:
    """A field of ``TrainingConfig`` with what it means."""

    name: str
    kind: Any
    text: str

    @property
    def choices(self) -> tuple[str, ...]:
        """The values there are, where they can be counted."""
        return get_args(self.kind) if get_origin(self.kind) is Literal else ()


@cache
def list_settings() -> tuple[Setting, ...]:
    """Return all settings, in their order."""
    hints = get_type_hints(TrainingConfig, include_extras=True)
    named = [(each.name, *get_args(hints[each.name])) for each in fields(TrainingConfig)]
    return tuple(Setting(*each) for each in named)


def _check_value(setting: Setting, value: Any) -> Iterator[str]:
    name, annotation = setting.name, setting.kind
    if setting.choices and value not in setting.choices:
        yield f"{name} is one of {', '.join(setting.choices)}, not {value!r}"
        return
    kinds: dict[Any, Any] = {int: int, float: (int, float), bool: bool, str: str}
    wanted = kinds.get(annotation)
    if wanted and (
        not isinstance(value, wanted) or (isinstance(value, bool) and annotation is not bool)
    ):
        yield f"{name} is to be {annotation.__name__}, not {value!r}"
        return
    if annotation not in (int, float):
        return
    if not value >= 0 or value == float("inf"):
        yield f"{name} can't be {value}"
    elif name in POSITIVE and not value:
        yield f"{name} has to be more than 0"
    elif name in SHARES and value > 1:
        yield f"{name} is a share from 0 to 1, not {value}"
    elif name in ("ema", "generator_beta1", "discriminator_beta1") and value >= 1:
        yield f"{name} has to be below 1"


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file as it is.

    Raises:
        InvalidTraining: it is not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidTraining(f"{path} is not TOML: {error}") from error
