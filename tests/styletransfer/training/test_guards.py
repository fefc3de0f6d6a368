"""What GANs do when they break is found, told, and mended; each fault here is a real one."""

import math
from collections.abc import Callable

import pytest
import torch

from styletransfer.training.events import Event, Stepped, Trouble, Warned
from styletransfer.training.feeding import TrainingPictures
from styletransfer.training.guards import Guards
from styletransfer.training.pictures import Held
from styletransfer.training.trainer import MOST_ROLLBACKS, Trainer, TrainingFailed
from styletransfer.vgg import Vgg19
from tests.tiny_training import TINY, draw_paintings, make_trainer

CONFIG = TINY.changed(
    steps=80, copying_steps=40, snapshot_every=10, alpha=1.0, beta=0.1, generator_rate=3e-3
)


def burst(trainer: Trainer) -> None:
    with torch.no_grad():
        trainer.generator.get_parameter("in1.weight").fill_(math.nan)


def blow_up(trainer: Trainer) -> None:
    """The last layer grows by a step that was far too large."""
    with torch.no_grad():
        trainer.generator.get_parameter("deconv3.conv2d.bias").add_(400)


def forget_the_photographs(trainer: Trainer) -> None:
    """Every output is of one colour from here on, and no gradient leads back."""
    with torch.no_grad():
        trainer.generator.get_parameter("deconv3.conv2d.weight").zero_()
    trainer.generator.get_parameter("deconv3.conv2d.weight").requires_grad_(False)


def draw_scenes() -> TrainingPictures:
    """Return photographs of patches: normalisation takes away what is flat."""
    paintings = draw_paintings()
    patches = torch.rand(8, 3, 4, 4, generator=torch.Generator().manual_seed(3))
    photos = torch.nn.functional.interpolate(patches, scale_factor=8.0)
    return TrainingPictures(Held(photos), Held(paintings[:1]), Held(paintings[1:]))


def run_with(
    vgg: Vgg19, fault: Callable[[Trainer], None], step: int, **changes: object
) -> tuple[Trainer, list[Event]]:
    events: list[Event] = []

    def listen(event: Event) -> None:
        events.append(event)
        if isinstance(event, Stepped) and event.step == step:
            fault(trainer)

    trainer = make_trainer(CONFIG.changed(**changes), vgg, [listen], pictures=draw_scenes())
    trainer.run()
    return trainer, events


@pytest.mark.parametrize(
    ("fault", "trouble"), [(burst, "non_finite"), (blow_up, "spike")], ids=["nan", "spike"]
)
def test_a_burst_goes_back_to_the_last_good_state_and_slows_down(
    vgg: Vgg19, fault: Callable[[Trainer], None], trouble: Trouble
) -> None:
    trainer, events = run_with(vgg, fault, 86, alpha=0.1, beta=1.0)
    warned = [event for event in events if isinstance(event, Warned)]
    assert [event.trouble for event in warned] == [trouble]
    assert "went back to the last good state, both rates halved (step 80)" in warned[0].done
    steps = [event for event in events if isinstance(event, Stepped)]
    place = next(number for number, event in enumerate(steps) if event.step == warned[0].step)
    assert steps[place + 1].generator_rate < 0.55 * steps[place].generator_rate
    assert steps[place + 1].total < 2 * steps[place - 2].total
    assert all(bool(each.isfinite().all()) for each in trainer.generator.parameters())


def test_outputs_that_grow_alike_are_found_and_undone(vgg: Vgg19) -> None:
    def forget(trainer: Trainer) -> None:
        forget_the_photographs(trainer)

    _, events = run_with(vgg, forget, 75, steps=90, snapshot_every=25)
    warned = [event for event in events if isinstance(event, Warned)]
    assert warned[0].trouble == "collapse"
    assert "went back two states" in warned[0].done
    steps = [event for event in events if isinstance(event, Stepped)]
    after = [event.diversity for event in steps if event.step > warned[0].step + 17]
    fallen = next(event.diversity for event in steps if event.step == warned[0].step)
    assert fallen is not None
    assert after[-1] is not None
    assert after[-1] > 3 * fallen


def test_a_discriminator_that_wins_outright_is_slowed_down(vgg: Vgg19) -> None:
    trainer, events = run_with(
        vgg, lambda _: None, 0, steps=260, discriminator_rate=2e-2, gamma=1e-6, generator_rate=1e-5
    )
    warned = [event for event in events if isinstance(event, Warned)]
    assert {event.trouble for event in warned} == {"discriminator_wins"}
    adversary = trainer.learning.adversary
    assert adversary is not None
    assert adversary.learner.slowed == 0.5 ** len(warned)
    assert trainer.learning.learner.slowed == 1


def test_what_comes_back_again_and_again_ends_with_what_to_change(vgg: Vgg19) -> None:
    events: list[Event] = []

    def listen(event: Event) -> None:
        events.append(event)
        if isinstance(event, Stepped):
            burst(trainer)

    trainer = make_trainer(CONFIG, vgg, [listen])
    with pytest.raises(TrainingFailed, match="lower the learning rates"):
        trainer.run()
    assert sum(isinstance(event, Warned) for event in events) == MOST_ROLLBACKS + 1


def test_without_guards_a_burst_ends_the_training(vgg: Vgg19) -> None:
    with pytest.raises(TrainingFailed, match="not finite"):
        run_with(vgg, burst, 40, guards=False)


def test_quiet_figures_mean_no_trouble() -> None:
    guards = Guards()
    for number in range(500):
        total = 1 + 0.5 * math.sin(number)
        assert guards.look(total, 0.6 + 0.3 * math.sin(number), 0.8 - number / 2000) is None


def test_a_state_of_guards_goes_on() -> None:
    one, other = Guards(), Guards()
    for number in range(150):
        one.look(1.0, 0.97 if number > 60 else 0.2, 0.5)
    other.restore(one.state())
    found = [guards.look(40.0, 0.97, 0.5) for guards in (one, other)]
    assert found[0] == found[1]
    assert found[0] is not None
    assert found[0].trouble == "spike"
