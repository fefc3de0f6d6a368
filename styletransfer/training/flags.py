"""A training's settings on the command line: one flag for each, over those of a TOML file."""

import argparse
from pathlib import Path
from typing import Any

from styletransfer.training.config import Setting, TrainingConfig, list_settings, read_toml

DEFAULTS = TrainingConfig()


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add ``--config`` and a flag for every setting."""
    parser.add_argument(
        "--config", type=Path, help="TOML file of settings; flags count more than it"
    )
    group = parser.add_argument_group("settings")
    for setting in list_settings():
        default = getattr(DEFAULTS, setting.name)
        shown = ",".join(map(str, default)) if isinstance(default, tuple) else str(default or "")
        group.add_argument(
            f"--{setting.name.replace('_', '-')}",
            dest=f"setting_{setting.name}",
            help=setting.text + (f" [{shown}]" if shown else ""),
            **_describe(setting),
        )


def read_flags(arguments: argparse.Namespace) -> TrainingConfig:
    """Return the configuration that a command line means.

    Raises:
        InvalidTraining: it contradicts itself.
    """
    values = read_toml(arguments.config) if arguments.config else {}
    for setting in list_settings():
        given = getattr(arguments, f"setting_{setting.name}")
        if given is not None:
            values[setting.name] = given
    return TrainingConfig.from_mapping(values)


def _describe(setting: Setting) -> dict[str, Any]:
    name, annotation = setting.name, setting.kind
    if annotation is bool:
        return {"action": argparse.BooleanOptionalAction}
    if setting.choices:
        return {"choices": setting.choices}
    if name == "parameters":
        return {"type": _read_parameters, "metavar": "NAME=N,..."}
    if name == "style_layers":
        return {"type": lambda text: tuple(text.split(",")), "metavar": "LAYER,..."}
    if name == "style_weights":
        return {"type": _read_numbers, "metavar": "X,..."}
    return {"type": annotation, "metavar": {int: "N", float: "X"}.get(annotation, "TEXT")}


def _read_parameters(text: str) -> dict[str, int]:
    try:
        pairs = [part.split("=") for part in text.split(",")]
        return {name: int(value) for name, value in pairs}
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not like width=16,blocks=6") from error


def _read_numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not like 0.5,0.25,0.25") from error
