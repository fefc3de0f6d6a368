import copy
from collections.abc import Callable

import numpy as np
import pytest
import torch
from safetensors.torch import save
from torch import Tensor

from styletransfer.metrics.style import Gram
from styletransfer.training.events import Copied, Sampled, Started, Stepped
from styletransfer.training.feeding import TrainingPictures
from styletransfer.training.objective import Objective
from styletransfer.training.optimising import clamp, rate_factor
from styletransfer.training.pictures import Held
from styletransfer.training.sampling import Deck, Sampler, Sizes
from styletransfer.vgg import Vgg19
from tests.tiny_training import (
    TINY,
    draw_paintings,
    draw_photos,
    make_pictures,
    make_trainer,
    run,
    run_in_double,
)


def test_training_lowers_the_style_loss_and_tells_of_every_step(vgg: Vgg19) -> None:
    _, events = run(TINY.changed(steps=60, relative_to_each=True), vgg)
    assert isinstance(events[0], Started)
    assert [event.step for event in events[1:] if isinstance(event, Copied | Stepped)] == [
        *range(TINY.copying_steps + 60)
    ]
    styles = [event.style for event in events if isinstance(event, Stepped)]
    assert np.mean(styles[-5:]) < 0.95 * np.mean(styles[:5])


def test_the_discriminator_learns_to_tell_paintings_from_photographs(vgg: Vgg19) -> None:
    trainer, _ = run(TINY.changed(photo_share=0.5), vgg)
    pictures = make_pictures()
    adversary = trainer.learning.adversary
    assert adversary is not None
    with torch.no_grad():
        painted = adversary.network(draw_paintings()[1:]).mean(dim=(1, 2, 3))
        taken = adversary.network(draw_photos()).mean(dim=(1, 2, 3))
    assert len(pictures.contents) == len(taken)
    assert painted.min() > taken.max()


def test_equal_seeds_give_equal_bytes_and_another_seed_others(vgg: Vgg19) -> None:
    config = TINY.changed(steps=4, copying_steps=2)
    first, again = (run(config, vgg)[0].generator.state_dict() for _ in range(2))
    other = run(config.changed(seed=1), vgg)[0].generator.state_dict()
    assert save(first) == save(again)
    assert save(first) != save(other)


def test_copying_steps_teach_the_generator_to_copy(vgg: Vgg19) -> None:
    def error(copying_steps: int) -> float:
        _, events = run(TINY.changed(steps=1, copying_steps=copying_steps), vgg)
        return [event.error for event in events if isinstance(event, Copied)][-1]

    assert error(60) < 0.5 * error(1)


def test_a_batch_in_parts_teaches_the_same_as_at_once(vgg: Vgg19) -> None:
    config = TINY.changed(steps=4, copying_steps=0, batch=4)
    deeper = copy.deepcopy(vgg).double()
    whole, parts = (run_in_double(config.changed(accumulate=number), deeper) for number in (1, 2))
    for name, weight in whole.generator.state_dict().items():
        torch.testing.assert_close(parts.generator.state_dict()[name], weight, rtol=0, atol=1e-9)


@pytest.mark.parametrize("norm", ["instance", "spectral"])
def test_every_option_of_the_discriminator_trains(vgg: Vgg19, norm: str) -> None:
    config = TINY.changed(
        steps=6, copying_steps=0, pool=3, r1=0.1, smoothing=0.1, clip_norm=0.1, ema=0.9
    ).changed(discriminator_norm=norm)
    trainer, events = run(config, vgg)
    steps = [event for event in events if isinstance(event, Stepped)]
    assert all(np.isfinite(step.total) and step.discriminator > 0 for step in steps)
    assert trainer.best is not trainer.generator
    assert not torch.equal(
        next(iter(trainer.best.parameters())), next(iter(trainer.generator.parameters()))
    )


@pytest.mark.parametrize(
    ("architecture", "parameters"),
    [("resnet_generator", {"blocks": 6, "width": 2}), ("unet_generator", {"downs": 5, "width": 2})],
)
def test_every_architecture_of_the_registry_trains(
    vgg: Vgg19, architecture: str, parameters: dict[str, int]
) -> None:
    config = TINY.changed(
        architecture=architecture, parameters=parameters, steps=2, copying_steps=2, batch=2
    )
    trainer, events = run(config, vgg)
    if architecture == "unet_generator":  # its means and variances are those it saw
        means = [b for name, b in trainer.generator.named_buffers() if name.endswith("mean")]
        assert any(bool(mean.any()) for mean in means)
    assert isinstance(trainer.sample(), Sampled)
    assert sum(isinstance(event, Stepped) for event in events) == 2


def test_a_generator_of_two_inputs_learns_each_picture_s_own_style(vgg: Vgg19) -> None:
    paintings = draw_paintings()
    pictures = TrainingPictures(Held(draw_photos()), Held(paintings), Held(paintings))
    config = TINY.changed(
        mode="arbitrary", architecture="adain", parameters={"width": 2}, steps=40, batch=2
    )
    trainer, events = run(config, vgg, pictures=pictures)
    styles = [event.style for event in events if isinstance(event, Stepped)]
    assert np.mean(styles[-8:]) < np.mean(styles[:8])
    assert trainer.sample().grid.shape == (3 * 32 + 8, 4 * 32 + 12, 3)


def test_a_collection_s_gradients_are_the_mean_of_those_of_its_paintings(vgg: Vgg19) -> None:
    paintings, photos = draw_paintings()[:3], draw_photos()

    def slope(styles: torch.Tensor) -> torch.Tensor:
        pictures = TrainingPictures(Held(photos), Held(styles), Held(styles))
        objective = Objective(vgg, TINY.recipe, pictures)
        output = photos[:1].clone().requires_grad_(True)
        assert objective.target is not None
        loss = objective.compare(objective.walk(output), objective.target).sum()
        return torch.autograd.grad(loss, output)[0]

    mean = torch.stack([slope(paintings[number : number + 1]) for number in range(3)]).mean(0)
    torch.testing.assert_close(slope(paintings), mean, rtol=1e-4, atol=1e-9)


def count_calls(
    taken: list[str], name: str, function: Callable[[Tensor], object]
) -> Callable[[Tensor], object]:
    def call(images: Tensor) -> object:
        taken.append(name)
        return function(images)

    return call


def test_features_of_pictures_that_come_again_are_computed_once(
    vgg: Vgg19, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = make_trainer(TINY.changed(steps=13, copying_steps=0), vgg)
    objective = trainer.learning.objective
    taken: list[str] = []
    for name in ("content_maps", "style_grams"):
        monkeypatch.setattr(objective, name, count_calls(taken, name, getattr(objective, name)))
    trainer.run()
    # The style pasted, once, for what losses are relative to; photographs while these were taken.
    assert taken == ["content_maps"]


def test_clamping_limits_values_but_not_gradients() -> None:
    images = torch.tensor([-0.5, 0.25, 1.5], requires_grad=True)
    limited = clamp(images)
    assert limited.tolist() == [0.0, 0.25, 1.0]
    (gradient,) = torch.autograd.grad(limited.sum(), images)
    assert gradient.tolist() == [1.0, 1.0, 1.0]


def test_rates_fall_as_their_schedule_says() -> None:
    shares = (0, 0.25, 0.5, 0.75, 1)
    assert [rate_factor("linear", share) for share in shares] == [1, 1, 1, 0.5, 0]
    assert [round(rate_factor("cosine", share), 3) for share in shares[::2]] == [1, 0.525, 0.05]
    assert {rate_factor("constant", share) for share in shares} == {1}


def test_a_deck_deals_every_number_once_before_any_again() -> None:
    deck = Deck(5, np.random.Generator(np.random.PCG64(0)))
    dealt = [number for _ in range(5) for number in deck.deal(3)]
    for start in range(0, 15, 5):
        assert sorted(dealt[start : start + 5]) == list(range(5))


def test_a_sampler_goes_on_from_its_state() -> None:
    def make() -> Sampler:
        return Sampler(Sizes(7, 5, 3), seed=3, batch=2, judged=3, copying_steps=2, with_styles=True)

    one = make()
    for _ in range(5):
        one.deal()
    other = make().restore(one.state())
    assert [one.deal() for _ in range(9)] == [other.deal() for _ in range(9)]


def test_gram_matrices_of_one_style_stay_as_they_are(vgg: Vgg19) -> None:
    objective = make_trainer(TINY, vgg).learning.objective
    assert objective.target is not None
    expected = vgg.features(draw_paintings()[:1], ["relu1_1"])["relu1_1"]
    assert torch.equal(objective.target[0].matrix, Gram.of(expected).matrix)
