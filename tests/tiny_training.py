"""A training that takes a second: tiny networks, tiny pictures, shallow features."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from styletransfer.discriminator import PatchGan
from styletransfer.generators import Network, build
from styletransfer.images import encode_png
from styletransfer.surrogates import VGG
from styletransfer.training.config import TrainingConfig
from styletransfer.training.events import Event, Listener
from styletransfer.training.feeding import TrainingPictures
from styletransfer.training.initial import initialise
from styletransfer.training.objective import Objective
from styletransfer.training.pictures import Held
from styletransfer.training.trainer import Trainer
from styletransfer.vgg import Vgg19

SIDE = 32
TINY = TrainingConfig(
    parameters={"width": 3},
    features=VGG,
    content_layer="relu2_1",
    style_layers=("relu1_1", "relu2_1"),
    size=SIDE,
    photo_size=SIDE,
    steps=30,
    copying_steps=10,
    gamma=0.1,
    alpha=0.1,
    ndf=4,
    judged=2,
    generator_rate=1e-2,
    discriminator_rate=5e-3,
    schedule="cosine",
    pool=0,
    device="cpu",
)


def make_pictures() -> TrainingPictures:
    """Return smooth photographs, and striped paintings of which the first is the style."""
    photos, paintings = draw_photos(), draw_paintings()
    return TrainingPictures(Held(photos), Held(paintings[:1]), Held(paintings[1:]))


def draw_photos() -> Tensor:
    rng = np.random.Generator(np.random.PCG64(4))
    ramp = np.linspace(0, 1, SIDE, dtype=np.float32)
    flat = rng.uniform(0.2, 0.8, (6, 3, 1, 1)).astype(np.float32)
    return torch.from_numpy((flat * (0.5 + 0.5 * ramp) * np.ones((SIDE, 1), np.float32)).copy())


def draw_paintings() -> Tensor:
    rng = np.random.Generator(np.random.PCG64(5))
    stripes = (np.arange(SIDE) % 4 < 2).astype(np.float32)[:, None]
    colours = rng.uniform(0, 1, (6, 3, 1, 1)).astype(np.float32)
    return torch.from_numpy((colours * stripes * np.ones((1, SIDE), np.float32)).copy())


def write_folders(folder: Path) -> dict[str, str]:
    """Write the same pictures as PNG files; return settings that name them."""
    rows = {"contents": draw_photos(), "reals": draw_paintings()}
    for name, pictures in rows.items():
        (folder / name).mkdir(parents=True)
        for number, picture in enumerate(pictures):
            pixels = (picture * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
            (folder / name / f"{number}.png").write_bytes(encode_png(np.ascontiguousarray(pixels)))
    named = {name: str(folder / name) for name in rows}
    return named | {"styles": str(folder / "reals" / "0.png")}


def make_networks(config: TrainingConfig) -> tuple[Network, PatchGan]:
    generator = build(config.architecture, config.parameters)
    discriminator = PatchGan(config.ndf, 1, config.discriminator_norm)
    initialise(generator, seed=1)
    initialise(discriminator, seed=2)
    return generator, discriminator


def make_trainer(
    config: TrainingConfig, vgg: Vgg19, listeners: Sequence[Listener] = (), **given: Any
) -> Trainer:
    """Return a trainer on pictures in memory."""
    pictures = given.pop("pictures", None) or make_pictures()
    generator, discriminator = make_networks(config)
    objective = Objective(
        vgg,
        config.recipe,
        pictures,
        is_arbitrary=config.mode == "arbitrary",
        relative_to_each=config.relative_to_each,
        cache_bytes=1 << 24,
    )
    judge = discriminator if config.gamma else None
    return Trainer(config, generator, judge, objective, pictures, listeners=listeners, **given)


def run(config: TrainingConfig, vgg: Vgg19, **given: Any) -> tuple[Trainer, list[Event]]:
    """Train to the end."""
    events: list[Event] = []
    trainer = make_trainer(config, vgg, [*given.pop("listeners", ()), events.append], **given)
    assert trainer.run()
    return trainer, events


def in_double(pictures: TrainingPictures) -> TrainingPictures:
    """Return pictures in memory as double precision."""
    kinds = (pictures.contents, pictures.styles, pictures.reals)
    images = [kind.take(range(len(kind)), [(0, 0)] * len(kind)).double() for kind in kinds]
    return TrainingPictures(*(Held(some) for some in images))


def run_in_double(config: TrainingConfig, vgg: Vgg19, **given: Any) -> Trainer:
    """Train in double precision, where sums in another order differ by nothing that counts."""
    trainer = make_trainer(config, vgg, pictures=in_double(make_pictures()), **given)
    trainer.generator.double()
    if trainer.learning.adversary:
        trainer.learning.adversary.network.double()
    assert trainer.run()
    return trainer
