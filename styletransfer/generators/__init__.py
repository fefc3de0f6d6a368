"""The networks the platform can build itself, with the key names of their public checkpoints."""

from collections.abc import Mapping

from torch import nn

from styletransfer.generators.resnet_generator import ResnetGenerator
from styletransfer.generators.transformer_net import TransformerNet


def build(architecture: str, parameters: Mapping[str, int]) -> nn.Module:
    """Build an architecture of `styletransfer.architectures` with untrained weights."""
    if architecture == "transformer_net":
        return TransformerNet(width=parameters["width"])
    if architecture == "resnet_generator":
        return ResnetGenerator(blocks=parameters["blocks"], width=parameters["width"])
    raise ValueError(f"no such architecture: {architecture}")
