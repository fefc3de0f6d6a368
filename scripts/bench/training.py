"""Training steps beside the loop that tutorials write, same networks, same pictures."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.optim import Adam

from scripts.bench import pictures
from scripts.bench.naive import CONTENT, STYLES, NaiveEvaluator
from scripts.bench.rows import Row, at_least, at_most
from scripts.bench.setting import Setting
from scripts.bench.timing import interleave
from styletransfer.discriminator import PatchGan
from styletransfer.generators import Network, build
from styletransfer.surrogate_weights import make_weights
from styletransfer.surrogates import VGG
from styletransfer.training.config import TrainingConfig
from styletransfer.training.feeding import Batch, TrainingPictures
from styletransfer.training.initial import initialise
from styletransfer.training.learning import Figures
from styletransfer.training.objective import Objective
from styletransfer.training.pictures import Held
from styletransfer.training.trainer import Trainer
from styletransfer.vgg import to_batch
from styletransfer.weights import load_vgg

SIDE, BATCH, WIDTH, PHOTOS = 256, 2, 12, 8
BARS = {"fresh crops": 1.4, "pictures that come again": 1.6}
CONFIG = TrainingConfig(
    parameters={"width": WIDTH},
    features=VGG,
    gamma=0.1,
    batch=BATCH,
    judged=BATCH,
    size=SIDE,
    copying_steps=0,
    steps=1_000_000,
    schedule="constant",
    pool=0,
    guards=False,
)


class Fresh(Held):
    """Pictures that count as new ones each time."""

    is_fixed = False


class Tutorial:
    """Three passes of VGG-19 a step, channels first, gradients into the discriminator and all."""

    def __init__(self, generator: Network, discriminator: PatchGan) -> None:
        weights = {key: torch.from_numpy(array) for key, array in make_weights(VGG).items()}
        evaluator = NaiveEvaluator(weights)
        # Nothing below the last layer that counts: good tutorials cut there.
        self.layers = list(evaluator.network.children())[: STYLES[-1] + 1]
        for layer in self.layers:
            layer.requires_grad_(False)
        self.mean, self.std = evaluator.mean, evaluator.std
        self.generator, self.discriminator = generator, discriminator
        self.generator_adam = Adam(generator.parameters(), CONFIG.generator_rate)
        self.discriminator_adam = Adam(
            discriminator.parameters(), CONFIG.discriminator_rate, (0.5, 0.999)
        )

    def step(
        self, contents: Tensor, style: Tensor, reals: Tensor, scales: Tensor
    ) -> tuple[float, float]:
        """Take a step of both networks; return content and style loss over ``scales``."""
        outputs = self.generator(contents * 255) / 255
        outputs = outputs + (outputs.clamp(0, 1) - outputs).detach()
        self.discriminator_adam.zero_grad()
        wrong = ((self.discriminator(reals) - 1) ** 2).mean()
        wrong = wrong + (self.discriminator(outputs.detach()) ** 2).mean()
        wrong.backward()
        self.discriminator_adam.step()

        self.generator_adam.zero_grad()
        ours, theirs, styles = (self.walk(images) for images in (outputs, contents, style))
        content = 0.5 * ((ours[CONTENT] - theirs[CONTENT]) ** 2).sum() / len(contents)
        by_style = torch.zeros(())
        for layer in STYLES:
            difference = gram(ours[layer]) - gram(styles[layer])
            channels = difference.shape[1]
            by_style = by_style + (difference**2).sum() / (
                4 * channels**2 * len(contents) * len(STYLES)
            )
        fooled = ((self.discriminator(outputs) - 1) ** 2).mean()
        content, by_style = content / scales[0], by_style / scales[1]
        total = CONFIG.alpha * content + CONFIG.beta * by_style + CONFIG.gamma * fooled
        total.backward()
        self.generator_adam.step()
        return content.item(), by_style.item()

    def walk(self, images: Tensor) -> dict[int, Tensor]:
        """Return the maps of all layers that count."""
        maps, found = (images - self.mean) / self.std, {}
        for place, layer in enumerate(self.layers):
            maps = layer(maps)
            if place in (CONTENT, *STYLES):
                found[place] = maps
        return found


def gram(maps: Tensor) -> Tensor:
    """Return each picture's Gram matrix over its positions."""
    flat = maps.reshape(len(maps), maps.shape[1], -1)
    return torch.bmm(flat, flat.transpose(1, 2)) / flat.shape[2]


def measure(setting: Setting) -> Iterator[Row]:
    """Measure steps on fresh crops, and on pictures whose features are kept."""
    photos, style, reals = (
        to_batch([pictures.make(seed + number, SIDE) for number in range(count)])
        for seed, count in ((0, PHOTOS), (100, 1), (200, PHOTOS))
    )
    ours = {
        "fresh crops": open_ours(Fresh(photos), style, reals),
        "pictures that come again": open_ours(Held(photos), style, reals),
    }
    tutorial = Tutorial(*make_networks())
    scales = ours["fresh crops"].learning.objective.anchors.float()
    numbers = dict.fromkeys((*ours, "tutorial"), 0)
    first: dict[str, tuple[float, float]] = {}

    def choose(name: str) -> list[int]:
        numbers[name] += 1
        return [(BATCH * numbers[name] + slot) % PHOTOS for slot in range(BATCH)]

    def step_ours(name: str) -> None:
        figures, chosen = Figures(), choose(name)
        batch = Batch(chosen, [], photos[chosen], torch.empty(0), reals[chosen], photos[chosen])
        ours[name].learning.learn(batch, 0, figures)
        first.setdefault(name, (figures.content, figures.style))

    contiguous = [images.contiguous() for images in (photos, style, reals)]

    def step_tutorial() -> None:
        chosen = choose("tutorial")
        repeated = contiguous[1].expand(BATCH, -1, -1, -1)  # a style for each picture, as there
        losses = tutorial.step(contiguous[0][chosen], repeated, contiguous[2][chosen], scales)
        first.setdefault("tutorial", losses)

    for _ in range(PHOTOS // BATCH - 1):
        step_ours("pictures that come again")  # until all features are kept
    variants = {
        "tutorial": step_tutorial,
        "fresh crops": lambda: step_ours("fresh crops"),
        "pictures that come again": lambda: step_ours("pictures that come again"),
    }
    taken = interleave(variants, setting.rounds)
    for name, bar in BARS.items():
        what = f"a step, {BATCH} of {SIDE} x {SIDE}, {name}"
        yield Row(
            what,
            1000 * taken[name],
            "CPU ms",
            "tutorial loop",
            1000 * taken["tutorial"],
            at_least(bar),
        )
    for number, name in enumerate(("content", "style")):
        change = abs(first["fresh crops"][number] / first["tutorial"][number] - 1)
        yield Row(f"  first {name}, relative difference", change, "", "tutorial", bar=at_most(1e-4))


def open_ours(contents: Held, style: Tensor, reals: Tensor) -> Trainer:
    """Return our trainer."""
    found = TrainingPictures(contents, Held(style), Held(reals))
    objective = Objective(
        load_vgg(VGG)[0], CONFIG.recipe, found, cache_bytes=CONFIG.cache_mib << 20
    )
    return Trainer(CONFIG, *make_networks(), objective, found)


def make_networks() -> tuple[Network, PatchGan]:
    """Return equal networks at every call."""
    networks: tuple[Network, PatchGan] = build("transformer_net", {"width": WIDTH}), PatchGan(16)
    for seed, network in enumerate(networks, start=1):
        part: nn.Module = network
        initialise(part, seed=seed)
    return networks
