"""Trains the demo's generator and its phase's discriminator; `manage.py train_baseline` runs it.

The generator never sees one of the 24 contents as such. Its photographs are other windows of the
same files, five of which (`photos.HELD_OUT`) are kept out altogether; the discriminator's paintings
have other seeds than the references. Both are judged on what was kept out.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save
from torch import Tensor, nn

from evaluation.demo.baselines import GENERATOR_WIDTH, ONE_STYLE
from evaluation.demo.image import Pixels
from evaluation.demo.painter import MANNERS, paint, reference_paintings, style_images
from evaluation.demo.photos import content_images, cut_window, held_out_photos, training_photos
from evaluation.demo.subjects import SUBJECTS
from styletransfer.discriminator import PatchGan, save_discriminator
from styletransfer.generators.transformer_net import TransformerNet
from styletransfer.metrics.adversarial import generator_loss
from styletransfer.surrogates import VGG
from styletransfer.training.loop import Plan, Step, StyleTarget, train
from styletransfer.values import Recipe
from styletransfer.vgg import Vgg19, to_batch
from styletransfer.weights import load_vgg

WINDOW = 112  # pixels of a training window: Gram matrices are means, so they carry over to 256
PHOTOS = 240
PAINTING_SEED = 20_000  # the first training painting's; far from those of the references
NDF = 16
SCALE = 255.0


@dataclass(frozen=True)
class Report:
    """How good the trained networks are on what they were not trained on.

    Attributes:
        content_relative: mean over the contents; style paste has 1.
        style_relative: mean over the contents; identity has 1.
        total: with calibrated weights, by baseline: identity, style paste, trained.
        auc: of the discriminator: how often a reference painting scores above a held-out photo.
    """

    content_relative: float
    style_relative: float
    total: dict[str, float]
    auc: float


@dataclass(frozen=True)
class Trained:
    """Two safetensors files and what they are worth."""

    generator: bytes
    discriminator: bytes
    report: Report


def default_plan(alpha: float, beta: float) -> Plan:
    """Return the plan behind the shipped files."""
    return Plan(
        Recipe(),
        alpha=alpha,
        beta=beta,
        gamma=0.2,
        steps=1200,
        copying_steps=300,
        photo_share=0.5,
        scale=SCALE,
    )


def train_baseline(
    on_step: Callable[[Step], None] | None = None,
    make_plan: Callable[[float, float], Plan] = default_plan,
) -> Trained:
    """Train both networks from fixed seeds on one thread, which makes the bytes reproducible."""
    threads = torch.get_num_threads()
    deterministic = torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    try:
        return _train(on_step, make_plan)
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(deterministic)


def _train(
    on_step: Callable[[Step], None] | None, make_plan: Callable[[float, float], Plan]
) -> Trained:
    vgg, _ = load_vgg(VGG)
    style = next(image.pixels for image in style_images() if image.name == ONE_STYLE)
    contents = to_batch(training_photos(PHOTOS, WINDOW))
    rng = np.random.Generator(np.random.PCG64(9))
    windows = to_batch([cut_window(style, WINDOW, rng) for _ in range(8)])
    target = StyleTarget(vgg, Recipe(), to_batch([style]))
    alpha, beta = _weigh(target, contents[:: PHOTOS // 8], windows)
    generator, discriminator = TransformerNet(GENERATOR_WIDTH), PatchGan(NDF)
    initialise(generator, seed=1)
    initialise(discriminator, seed=2)
    reals = to_batch([cut_window(painting, WINDOW, rng) for painting in _training_paintings()])
    train(
        generator,
        discriminator,
        vgg,
        contents=contents,
        style=to_batch([style]),
        reals=reals,
        plan=make_plan(alpha, beta),
        on_step=on_step,
    )
    weights = {key: value.detach().contiguous() for key, value in generator.state_dict().items()}
    report = judge(generator, discriminator, vgg, style)
    return Trained(save(weights), save_discriminator(discriminator), report)


def initialise(network: nn.Module, seed: int) -> None:
    """Fill a network from NumPy's generator: torch's own differ between CPU capabilities."""
    rng = np.random.Generator(np.random.PCG64(seed))
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if parameter.ndim == 4:
                draws = rng.standard_normal(parameter.shape) / np.sqrt(parameter[0].numel())
                parameter.copy_(torch.from_numpy(draws.astype(np.float32)))
            else:
                parameter.fill_(1.0 if name.endswith("weight") else 0.0)


def _weigh(target: StyleTarget, photos: Tensor, style_windows: Tensor) -> tuple[float, float]:
    """Scale the terms as a calibrated recipe does: pasting and copying cost 1 each."""
    pasted, copied = [], []
    with torch.no_grad():
        for photo, window in zip(_singles(photos), _singles(style_windows), strict=False):
            pasted.append(float(target.measure(window, photo)[0]))
            copied.append(float(target.measure(photo, photo)[1]))
    return 1 / float(np.mean(pasted)), 1 / float(np.mean(copied))


def _training_paintings() -> list[Pixels]:
    kinds = [(manner, subject) for subject in SUBJECTS for manner in MANNERS]
    paintings = [paint(*kind, PAINTING_SEED + index) for index, kind in enumerate(kinds)]
    return [painting for painting in paintings for _ in range(4)]


@torch.no_grad()
def judge(generator: nn.Module, discriminator: PatchGan, vgg: Vgg19, style: Pixels) -> Report:
    """Measure both networks on the phase's contents, references and held-out photographs."""
    contents = _singles(to_batch([content.pixels for content in content_images()]))
    pasted = to_batch([style])
    target = StyleTarget(vgg, Recipe(), pasted)
    outputs = [_round(generator(content * SCALE) / SCALE) for content in contents]
    measured = {"identity": contents, "style paste": [pasted] * len(contents), "trained": outputs}
    losses = {
        name: np.array(
            [
                [
                    float(term)
                    for term in (*target.measure(image, content), _judge(discriminator, image))
                ]
                for image, content in zip(images, contents, strict=True)
            ]
        )
        for name, images in measured.items()
    }
    copied, paste, trained = losses["identity"], losses["style paste"], losses["trained"]
    adversarial = (copied[:, 2].mean() + paste[:, 2].mean()) / 2
    weights = 1 / np.array([paste[:, 0].mean(), copied[:, 1].mean(), adversarial])
    return Report(
        content_relative=float((trained[:, 0] / paste[:, 0]).mean()),
        style_relative=float((trained[:, 1] / copied[:, 1]).mean()),
        total={name: float(values.mean(axis=0) @ weights) for name, values in losses.items()},
        auc=area_under_curve(
            scores(discriminator, [painting.pixels for painting in reference_paintings()]),
            scores(discriminator, held_out_photos()),
        ),
    )


@torch.no_grad()
def scores(discriminator: PatchGan, pictures: Sequence[Pixels]) -> NDArray[np.float64]:
    """Return the mean patch score of each picture."""
    images = _singles(to_batch(pictures))
    return np.array([float(discriminator(image).mean()) for image in images])


def area_under_curve(positives: NDArray[np.float64], negatives: NDArray[np.float64]) -> float:
    """Return how often a positive scores above a negative; a draw counts half."""
    difference = positives[:, None] - negatives[None, :]
    return float((difference > 0).mean() + (difference == 0).mean() / 2)


def _singles(images: Tensor) -> list[Tensor]:
    return [images[index : index + 1] for index in range(len(images))]


def _judge(discriminator: PatchGan, image: Tensor) -> Tensor:
    return generator_loss(discriminator(image)).mean()


def _round(image: Tensor) -> Tensor:
    return (image.clamp(0, 1) * 255).round() / 255
