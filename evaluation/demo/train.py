"""Trains the demo's generator and its phase's discriminator; `manage.py train_baseline` runs it.

The generator never sees one of the 24 contents as such. Its photographs are other windows of the
same files, five of which (`photos.HELD_OUT`) are kept out altogether; the discriminator's paintings
have other seeds than the references. Both are judged on what was kept out.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save
from torch import Tensor

from evaluation.demo.baselines import GENERATOR_WIDTH, ONE_STYLE
from evaluation.demo.image import Pixels
from evaluation.demo.painter import MANNERS, paint, reference_paintings, style_images
from evaluation.demo.photos import content_images, cut_window, held_out_photos, training_photos
from evaluation.demo.subjects import SUBJECTS
from styletransfer.discriminator import PatchGan, save_discriminator
from styletransfer.generators import Network, build
from styletransfer.metrics.adversarial import generator_loss
from styletransfer.metrics.content import content_loss
from styletransfer.recipe import Recipe
from styletransfer.surrogates import VGG
from styletransfer.training.initial import initialise
from styletransfer.training.judging import learn_to_judge
from styletransfer.training.loop import Plan, Step, train
from styletransfer.training.target import StyleTarget
from styletransfer.vgg import to_batch
from styletransfer.weights import load_vgg

# First small windows, which are quick: Gram matrices are means, so most of it carries over. Then
# whole pictures, as they are scored, from other photographs' corners than the 24 contents.
WINDOW, WINDOWS = 112, 240
WHOLE, WHOLES = 256, 60
PAINTING_WINDOW = 224
JUDGING_PHOTOS, JUDGING_STEPS = 360, 800
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
    """A generator with the discriminator it was trained against."""

    generator: Network
    discriminator: PatchGan

    def generator_bytes(self) -> bytes:
        """Return the generator as safetensors; equal weights give equal bytes."""
        weights = self.generator.state_dict()
        return save({key: value.detach().contiguous() for key, value in weights.items()})

    def discriminator_bytes(self) -> bytes:
        """Return the discriminator as safetensors."""
        return save_discriminator(self.discriminator)


# Behind the shipped files. The discriminator mostly learns photographs against paintings
# (photo_share): the brief's pure loss would make it an expert on one generator only.
ON_WINDOWS = Plan(
    Recipe(),
    alpha=1.0,
    beta=1.0,
    gamma=0.08,
    steps=1000,
    copying_steps=300,
    photo_share=0.985,
    scale=SCALE,
)
ON_WHOLES = replace(
    ON_WINDOWS,
    steps=170,
    copying_steps=0,
    judged=3,
    generator_rate=1e-3,
    discriminator_rate=1e-4,
)


@contextmanager
def reproducible() -> Iterator[None]:
    """Keep torch to one thread and deterministic algorithms, and put both back."""
    threads = torch.get_num_threads()
    deterministic = torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(deterministic)


@reproducible()
def train_baseline(
    on_step: Callable[[Step], None] | None = None,
    *,
    on_windows: Plan = ON_WINDOWS,
    on_wholes: Plan = ON_WHOLES,
    judging_steps: int = JUDGING_STEPS,
) -> Trained:
    """Train both networks from fixed seeds.

    The generator starts on windows, against a discriminator of its own. Both then meet on whole
    pictures, the discriminator after learning alone.
    """
    vgg, _ = load_vgg(VGG)
    style = to_batch([style_image()])
    paintings = _training_paintings()
    generator, opponent, discriminator = (
        build("transformer_net", {"width": GENERATOR_WIDTH}),
        PatchGan(NDF),
        PatchGan(NDF),
    )
    for network, seed in ((generator, 1), (opponent, 2), (discriminator, 2)):
        initialise(network, seed=seed)
    train(
        *(generator, opponent, vgg),
        contents=to_batch(training_photos(WINDOWS, WINDOW)),
        style=style,
        reals=to_batch(_cut(paintings, WINDOW)),
        plan=on_windows,
        on_step=on_step,
    )
    learn_to_judge(
        discriminator,
        paintings=to_batch(_cut(paintings, WINDOW)),
        photographs=to_batch(training_photos(JUDGING_PHOTOS, WINDOW, seed=7)),
        steps=judging_steps,
        seed=11,
    )
    train(
        *(generator, discriminator, vgg),
        contents=to_batch(training_photos(WHOLES, WHOLE, seed=5)),
        style=style,
        reals=to_batch(_cut(paintings[::2], PAINTING_WINDOW)),
        plan=on_wholes,
        on_step=on_step,
    )
    return Trained(generator.eval(), discriminator.eval())


def _cut(pictures: Sequence[Pixels], side: int) -> list[Pixels]:
    rng = np.random.Generator(np.random.PCG64(9))
    return [cut_window(picture, side, rng) for picture in pictures]


def style_image() -> Pixels:
    """Return the painting that the generator learns from."""
    return next(image.pixels for image in style_images() if image.name == ONE_STYLE)


def _training_paintings() -> list[Pixels]:
    kinds = [(manner, subject) for subject in SUBJECTS for manner in MANNERS]
    paintings = [paint(*kind, PAINTING_SEED + index) for index, kind in enumerate(kinds)]
    return [painting for painting in paintings for _ in range(4)]


@reproducible()
@torch.no_grad()
def judge(trained: Trained) -> Report:
    """Measure both networks on the phase's contents, references and held-out photographs."""
    vgg, _ = load_vgg(VGG)
    pasted = to_batch([style_image()])
    recipe = Recipe()
    target = StyleTarget(vgg, recipe, pasted)
    style_maps = target.content_maps(pasted)
    rows = []
    for content in _singles(to_batch([content.pixels for content in content_images()])):
        maps = target.walk(content)
        kept = maps[recipe.content_layer]
        output = ((trained.generator(content * SCALE)).clamp(0, 255).round()) / SCALE
        anchors = content_loss(style_maps, kept), target.compare(maps)
        judged = [adversarial(trained.discriminator, image) for image in (content, pasted, output)]
        terms = (*anchors, *target.measure(output, kept), *judged)
        rows.append([float(term) for term in terms])
    return _report(np.array(rows), discriminate(trained.discriminator))


def _report(rows: NDArray[np.float64], auc: float) -> Report:
    relative = rows[:, 2:4] / rows[:, :2]
    paste_content, copy_style, content, style, *judged = rows.mean(axis=0)
    gamma = 2 / (judged[0] + judged[1])
    return Report(
        content_relative=float(relative[:, 0].mean()),
        style_relative=float(relative[:, 1].mean()),
        total={
            "identity": float(1 + gamma * judged[0]),
            "style paste": float(1 + gamma * judged[1]),
            "trained": float(content / paste_content + style / copy_style + gamma * judged[2]),
        },
        auc=auc,
    )


def discriminate(discriminator: PatchGan) -> float:
    """Return the AUC of the reference paintings against the held-out photographs."""
    paintings = [painting.pixels for painting in reference_paintings()]
    return area_under_curve(
        scores(discriminator, paintings), scores(discriminator, held_out_photos())
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


def adversarial(discriminator: PatchGan, image: Tensor) -> Tensor:
    """Return the generator's adversarial loss for one image."""
    return generator_loss(discriminator(image)).mean()
