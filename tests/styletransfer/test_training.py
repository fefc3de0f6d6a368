from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save
from torch import Tensor

from styletransfer.discriminator import PatchGan
from styletransfer.generators import Network, build
from styletransfer.recipe import Recipe
from styletransfer.surrogates import VGG
from styletransfer.training import loop
from styletransfer.training.initial import initialise
from styletransfer.training.judging import learn_to_judge
from styletransfer.training.loop import Deck, Plan, Step, clamp, train
from styletransfer.vgg import Vgg19
from styletransfer.weights import load_vgg

Pictures = dict[str, Tensor]

SIDE = 32
RECIPE = Recipe(
    content_layer="relu2_1", style_layers=("relu1_1", "relu2_1"), style_weights=(0.5, 0.5)
)
PLAN = Plan(
    RECIPE,
    alpha=0.1,
    beta=1.0,
    gamma=0.1,
    steps=30,
    copying_steps=10,
    generator_rate=1e-2,
    discriminator_rate=5e-3,
)


@pytest.fixture(scope="module")
def vgg() -> Vgg19:
    network, _ = load_vgg(VGG, deepest="relu2_1")
    return network


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def pictures() -> Pictures:
    rng = np.random.Generator(np.random.PCG64(4))
    # Smooth photographs, striped paintings.
    ramp = np.linspace(0, 1, SIDE, dtype=np.float32)
    flat = rng.uniform(0.2, 0.8, (6, 3, 1, 1)).astype(np.float32)
    photos = np.broadcast_to(flat * (0.5 + 0.5 * ramp), (6, 3, SIDE, SIDE))
    stripes = (np.arange(SIDE) % 4 < 2).astype(np.float32)
    paintings = rng.uniform(0, 1, (6, 3, 1, 1)).astype(np.float32) * stripes[:, None]
    paintings = np.broadcast_to(paintings, (6, 3, SIDE, SIDE))
    return {
        "contents": torch.from_numpy(photos.copy()),
        "style": torch.from_numpy(paintings[:1].copy()),
        "reals": torch.from_numpy(paintings[1:].copy()),
    }


def run(vgg: Vgg19, pictures: Pictures, plan: Plan) -> tuple[Network, PatchGan, list[Step]]:
    generator, discriminator = build("transformer_net", {"width": 3}), PatchGan(4, 1)
    initialise(generator, seed=1)
    initialise(discriminator, seed=2)
    steps: list[Step] = []
    train(generator, discriminator, vgg, **pictures, plan=plan, on_step=steps.append)
    return generator, discriminator, steps


def test_training_lowers_the_style_loss_and_tells_of_every_step(
    vgg: Vgg19, pictures: Pictures
) -> None:
    _, _, steps = run(vgg, pictures, PLAN)
    assert [step.number for step in steps] == list(range(PLAN.steps))
    styles = [step.style for step in steps]
    assert np.mean(styles[-5:]) < 0.95 * np.mean(styles[:5])


def test_the_discriminator_learns_to_tell_paintings_from_photographs(
    vgg: Vgg19, pictures: Pictures
) -> None:
    _, discriminator, _ = run(vgg, pictures, replace(PLAN, photo_share=0.5))
    with torch.no_grad():
        painted = discriminator(pictures["reals"]).mean(dim=(1, 2, 3))
        taken = discriminator(pictures["contents"]).mean(dim=(1, 2, 3))
    assert painted.min() > taken.max()


def test_a_discriminator_that_learns_alone_can_tell_grey_pictures_too(pictures: Pictures) -> None:
    discriminator = PatchGan(4, 1)
    initialise(discriminator, seed=2)
    learn_to_judge(
        discriminator,
        paintings=pictures["reals"],
        photographs=pictures["contents"],
        steps=60,
        rate=5e-3,
    )
    with torch.no_grad():
        painted, taken = (
            discriminator(pictures[kind].mean(1, keepdim=True).expand(-1, 3, -1, -1)).mean(
                (1, 2, 3)
            )
            for kind in ("reals", "contents")
        )
    assert painted.min() > taken.max()


def test_the_same_seeds_give_the_same_bytes_and_another_seed_others(
    vgg: Vgg19, pictures: Pictures
) -> None:
    plan = replace(PLAN, steps=4, copying_steps=2)
    first, again = (run(vgg, pictures, plan)[:2] for _ in range(2))
    other = run(vgg, pictures, replace(plan, seed=1))[:2]
    for one, two in zip(first, again, strict=True):
        assert save(one.state_dict()) == save(two.state_dict())
    assert save(first[0].state_dict()) != save(other[0].state_dict())


def test_copying_steps_teach_the_generator_to_copy(vgg: Vgg19, pictures: Pictures) -> None:
    def distance(copying_steps: int) -> float:
        plan = replace(PLAN, steps=0, copying_steps=copying_steps)
        generator, _, _ = run(vgg, pictures, plan)
        with torch.no_grad():
            output = generator(pictures["contents"] * 255) / 255
        return float((output - pictures["contents"]).square().mean())

    assert distance(60) < 0.5 * distance(0)


def test_clamping_limits_values_but_not_gradients() -> None:
    images = torch.tensor([-0.5, 0.25, 1.5], requires_grad=True)
    limited = clamp(images)
    assert limited.tolist() == [0.0, 0.25, 1.0]
    (gradient,) = torch.autograd.grad(limited.sum(), images)
    assert gradient.tolist() == [1.0, 1.0, 1.0]


def test_a_deck_deals_every_number_once_before_any_again() -> None:
    deck = Deck(5, np.random.Generator(np.random.PCG64(0)))
    dealt = [number for _ in range(5) for number in deck.deal(3)]
    for start in range(0, 15, 5):
        assert sorted(dealt[start : start + 5]) == list(range(5))


def test_the_loop_stays_within_150_lines() -> None:
    assert len(Path(loop.__file__).read_text().splitlines()) <= 150
