"""Trains the demo's generator and its phase's discriminator; `manage.py train_baseline` runs it.

The generator never sees one of the 24 contents as such. Its photographs are other windows of the
same files, five of which (`photos.HELD_OUT`) are kept out altogether; the discriminator's paintings
have other seeds than the references. Both are judged on what was kept out.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
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
from styletransfer.training.config import TrainingConfig
from styletransfer.training.events import Listener
from styletransfer.training.feeding import TrainingPictures
from styletransfer.training.initial import initialise
from styletransfer.training.judging import WithGrey, area_under_curve, judge_all, learn_to_judge
from styletransfer.training.objective import Objective
from styletransfer.training.opening import generator_bytes
from styletransfer.training.pictures import Held
from styletransfer.training.trainer import Trainer
from styletransfer.vgg import Vgg19, to_batch
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
        return generator_bytes(self.generator)

    def discriminator_bytes(self) -> bytes:
        """Return the discriminator as safetensors."""
        return save_discriminator(self.discriminator)


# Behind the shipped files. The discriminator mostly learns photographs against paintings
# (photo_share): the brief's pure loss would make it an expert on one generator only.
ON_WINDOWS = TrainingConfig(
    mode="single",
    architecture="transformer_net",
    parameters={"width": GENERATOR_WIDTH},
    features=VGG,
    gamma=0.08,
    relative_to_each=True,
    steps=1000,
    copying_steps=300,
    size=WINDOW,
    schedule="cosine",
    ndf=NDF,
    pool=0,
    photo_share=0.985,
)
ON_WHOLES = ON_WINDOWS.changed(
    steps=170,
    copying_steps=0,
    judged=3,
    size=WHOLE,
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
    listeners: Sequence[Listener] = (),
    *,
    on_windows: TrainingConfig = ON_WINDOWS,
    on_wholes: TrainingConfig = ON_WHOLES,
    judging_steps: int = JUDGING_STEPS,
) -> Trained:
    """Train both networks from fixed seeds.

    The generator starts on windows, against a discriminator of its own. Both then meet on whole
    pictures, the discriminator after learning alone.
    """
    vgg, _ = load_vgg(VGG)
    style = to_batch([style_image()])
    paintings = training_paintings()
    generator, opponent, discriminator = (
        build(on_windows.architecture, on_windows.parameters),
        PatchGan(NDF),
        PatchGan(NDF),
    )
    for network, seed in ((generator, 1), (opponent, 2), (discriminator, 2)):
        initialise(network, seed=seed)
    windows = to_batch(cut_windows(paintings, WINDOW))
    train_on(
        *(on_windows, generator, opponent, vgg),
        TrainingPictures(
            contents=Held(to_batch(training_photos(WINDOWS, WINDOW))),
            styles=Held(style),
            reals=Held(windows),
        ),
        listeners,
    )
    learn_to_judge(
        discriminator,
        reals=WithGrey(Held(windows)),
        others=WithGrey(Held(to_batch(training_photos(JUDGING_PHOTOS, WINDOW, seed=7)))),
        steps=judging_steps,
        seed=11,
    )
    train_on(
        *(on_wholes, generator, discriminator, vgg),
        TrainingPictures(
            contents=Held(to_batch(training_photos(WHOLES, WHOLE, seed=5))),
            styles=Held(style),
            reals=Held(to_batch(cut_windows(paintings[::2], PAINTING_WINDOW))),
        ),
        listeners,
    )
    return Trained(generator.eval(), discriminator.eval().requires_grad_(False))


def train_on(
    config: TrainingConfig,
    generator: Network,
    discriminator: PatchGan | None,
    vgg: Vgg19,
    pictures: TrainingPictures,
    listeners: Sequence[Listener],
) -> None:
    """Train networks in place on pictures that are in memory."""
    objective = Objective(
        vgg,
        config.recipe,
        pictures,
        is_arbitrary=config.mode == "arbitrary",
        relative_to_each=config.relative_to_each,
        cache_bytes=config.cache_mib << 20,
    )
    Trainer(config, generator, discriminator, objective, pictures, listeners=listeners).run()


def cut_windows(pictures: Sequence[Pixels], side: int) -> list[Pixels]:
    rng = np.random.Generator(np.random.PCG64(9))
    return [cut_window(picture, side, rng) for picture in pictures]


def style_image() -> Pixels:
    """Return the painting that the generator learns from."""
    return next(image.pixels for image in style_images() if image.name == ONE_STYLE)


def training_paintings() -> list[Pixels]:
    kinds = [(manner, subject) for subject in SUBJECTS for manner in MANNERS]
    paintings = [paint(*kind, PAINTING_SEED + index) for index, kind in enumerate(kinds)]
    return [painting for painting in paintings for _ in range(4)]


@reproducible()
@torch.no_grad()
def judge(trained: Trained) -> Report:
    """Measure both networks on the phase's contents, references and held-out photographs."""
    vgg, _ = load_vgg(VGG)
    pasted, recipe = to_batch([style_image()]), Recipe()
    contents = to_batch([content.pixels for content in content_images()])
    pictures = TrainingPictures(Held(contents), Held(pasted), Held(pasted))
    objective = Objective(vgg, recipe, pictures)
    style_maps, grams = objective.content_maps(pasted), objective.style_grams(pasted)
    rows = []
    for content in singles(contents):
        maps = objective.walk(content)
        kept = maps[recipe.content_layer]
        output = ((trained.generator(content * SCALE)).clamp(0, 255).round()) / SCALE
        made = objective.walk(output)
        judged = [adversarial(trained.discriminator, image) for image in (content, pasted, output)]
        terms = (
            content_loss(style_maps, kept),
            objective.compare(maps, grams),
            content_loss(made[recipe.content_layer], kept),
            objective.compare(made, grams),
            *judged,
        )
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
    painted, taken = (
        judge_all(discriminator, singles(to_batch(some))) for some in (paintings, held_out_photos())
    )
    return area_under_curve(painted, taken)


def singles(images: Tensor) -> list[Tensor]:
    return [images[index : index + 1] for index in range(len(images))]


def adversarial(discriminator: PatchGan, image: Tensor) -> Tensor:
    """Return the generator's adversarial loss for one image."""
    return generator_loss(discriminator(image)).mean()
