"""Make a trainer of a configuration: networks, pictures, losses; and write what comes out."""

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import nn

from styletransfer.architectures import ARCHITECTURES
from styletransfer.devices import open_device
from styletransfer.discriminator import PatchGan, load_discriminator, save_discriminator
from styletransfer.generators import Network, build
from styletransfer.manifest import Manifest
from styletransfer.training.checkpoints import FILE_NAME, read_checkpoint
from styletransfer.training.config import InvalidTraining, TrainingConfig
from styletransfer.training.events import Finished, Listener
from styletransfer.training.features import open_features
from styletransfer.training.feeding import TrainingPictures
from styletransfer.training.initial import initialise
from styletransfer.training.objective import Objective
from styletransfer.training.pictures import Cut, FilePictures, list_pictures
from styletransfer.training.precision import prepare_arithmetic
from styletransfer.training.processes import Processes, join_processes
from styletransfer.training.trainer import Trainer

GENERATOR, MANIFEST, DISCRIMINATOR = (
    "generator.safetensors",
    "manifest.json",
    "discriminator.safetensors",
)


def train(
    config: TrainingConfig, listeners: Sequence[Listener] = (), *, resume: bool = False
) -> bool:
    """Train as configured and write the generator to ``config.out``, ready to be submitted.

    Args:
        config: names the folders of pictures as well.
        listeners: are told of every event.
        resume: go on from the checkpoint in ``config.out``.

    Returns:
        whether it came to its end; if not, a checkpoint is there to resume from.

    Raises:
        StyleTransferError: with what to change.
    """
    device = open_device(config.device)
    prepare_arithmetic(config.precision, device, config.threads)
    with join_processes(device) as processes:
        out = Path(config.out)
        out.mkdir(parents=True, exist_ok=True)
        trainer = open_trainer(config, device, listeners, processes)
        if resume:
            trainer.states.restore(read_checkpoint(out / FILE_NAME, config.to_json()))
        is_complete = trainer.run(out)
        if is_complete and processes.is_first:
            write_results(trainer, out)
        return is_complete


def open_trainer(
    config: TrainingConfig,
    device: torch.device,
    listeners: Sequence[Listener] = (),
    processes: Processes | None = None,
) -> Trainer:
    """Build what a configuration names.

    Raises:
        StyleTransferError: a picture or a file of weights is not to be had, or not fit.
    """
    processes = processes or Processes()
    for name in ("batch", "judged"):
        if getattr(config, name) % (processes.world * config.accumulate):
            raise InvalidTraining(
                f"{name} has to be a multiple of processes times accumulate, which is "
                f"{processes.world * config.accumulate}"
            )
    pictures = open_pictures(config)
    objective = Objective(
        open_features(config.features, config.recipe, device),
        config.recipe,
        pictures,
        is_arbitrary=config.mode == "arbitrary",
        relative_to_each=config.relative_to_each,
        cache_bytes=config.cache_mib << 20,
        device=device,
        precision=config.precision,
    )
    return Trainer(
        config,
        open_generator(config).to(device),
        open_adversary(config, device),
        objective,
        pictures,
        listeners=listeners,
        processes=processes,
        device=device,
    )


def open_pictures(config: TrainingConfig) -> TrainingPictures:
    """Open the folders that a configuration names.

    Raises:
        InvalidTraining: one is missing or holds nothing.
    """
    for name in ("contents", "styles"):
        if not getattr(config, name):
            raise InvalidTraining(f"name a folder of pictures by --{name}")
    photo_size = max(config.photo_size, config.size)
    share, zoom = config.size / photo_size, config.smallest_crop
    cache = config.cache_mib << 20
    contents = Cut(config.size, share, zoom, is_random=config.augment, seed=(config.seed, 2))
    reals = Cut(config.size, share, zoom, is_random=config.augment, seed=(config.seed, 3))
    found = list_pictures(Path(config.styles))
    if config.mode == "single" and len(found) > 1:
        raise InvalidTraining(
            f"{config.styles} holds {len(found)} pictures: name one of them, or --mode collection"
        )
    styles = Cut(config.size if config.mode == "arbitrary" else photo_size)
    painted = list_pictures(Path(config.reals or config.styles))
    return TrainingPictures(
        contents=FilePictures(list_pictures(Path(config.contents)), contents, cache_bytes=cache),
        styles=FilePictures(found, styles, cache_bytes=cache),
        reals=FilePictures(painted, reals, cache_bytes=cache),
    )


def open_generator(config: TrainingConfig) -> Network:
    """Build the generator, from a file or from the seed.

    Raises:
        InvalidTraining: the file is of another network.
    """
    generator = build(config.architecture, config.parameters)
    if not config.start:
        initialise(generator, seed=config.seed + 1)
        return generator
    try:
        generator.load_state_dict(load(Path(config.start).read_bytes()))
    except (RuntimeError, ValueError, SafetensorError) as error:
        raise InvalidTraining(
            f"{config.start} does not fit {config.architecture}: {error}"
        ) from error
    return generator


def open_adversary(config: TrainingConfig, device: torch.device) -> PatchGan | None:
    """Build the discriminator, or load it; none without an adversarial loss."""
    if not config.gamma:
        return None
    if config.start_discriminator:
        network = load_discriminator(Path(config.start_discriminator).read_bytes())
    else:
        network = PatchGan(config.ndf, norm=config.discriminator_norm)
        initialise(network, seed=config.seed + 2)
    if network.norm == "spectral":
        torch.manual_seed(config.seed)  # where the search for singular vectors begins
        network.limit_weights()
    return network.train().to(device)


def write_results(trainer: Trainer, out: Path) -> None:
    """Write the trained networks and the generator's manifest."""
    (out / GENERATOR).write_bytes(generator_bytes(trainer.best))
    manifest = describe(trainer.config)
    (out / MANIFEST).write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")
    if trainer.learning.adversary:
        data = save_discriminator(trainer.learning.adversary.network.eval())
        (out / DISCRIMINATOR).write_bytes(data)
    (out / "training.json").write_text(json.dumps(trainer.config.to_json(), indent=2) + "\n")
    trainer.tell(Finished(trainer.done, is_complete=True, generator=out / GENERATOR))


def generator_bytes(generator: nn.Module) -> bytes:
    """Return a generator as safetensors; equal weights give equal bytes."""
    weights = generator.state_dict()
    return save({key: value.detach().cpu().contiguous() for key, value in weights.items()})


def describe(config: TrainingConfig) -> Manifest:
    """Return the manifest that a trained generator is submitted with."""
    architecture = ARCHITECTURES[config.architecture]
    roles = ("content", "style")[: architecture.inputs]
    return Manifest.model_validate(
        {
            "format": "safetensors",
            "architecture": config.architecture,
            "parameters": architecture.fill_in(config.parameters),
            "inputs": [{"role": role, "name": role} for role in roles],
            "input_range": architecture.usual_range,
            "output_range": architecture.usual_range,
            "channel_order": "RGB",
            "size": {"multiple_of": architecture.size_multiple(config.parameters)},
        }
    )
