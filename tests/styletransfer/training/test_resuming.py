"""A training that was stopped goes on as if nothing had been; several processes are as one."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from styletransfer.discriminator import load_discriminator
from styletransfer.training.config import InvalidTraining, TrainingConfig
from styletransfer.training.events import Event, Finished, Saved, Stepped, Warned
from styletransfer.training.opening import train
from tests.tiny_training import TINY, draw_photos, make_networks, write_folders

UNUSED_BIAS = re.compile(r"conv2d\.bias$|layers\.(2|5|8)\.bias$")
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return write_folders(tmp_path_factory.mktemp("pictures"))


def files_of(out: Path) -> dict[str, bytes]:
    names = ("generator.safetensors", "manifest.json", "discriminator.safetensors")
    return {name: (out / name).read_bytes() for name in names}


def stop_after(step: int) -> list[Event]:
    """Return a list that asks this process to stop once it holds that step."""

    class Stopping(list[Event]):
        def append(self, event: Event) -> None:
            super().append(event)
            if isinstance(event, Stepped) and event.step == step:
                os.kill(os.getpid(), signal.SIGTERM)

    return Stopping()


def run(config: TrainingConfig, events: list[Event], *, resume: bool = False) -> bool:
    return train(config, [events.append], resume=resume)


@pytest.mark.parametrize("norm", ["instance", "spectral"])
def test_a_training_stopped_by_sigterm_goes_on_bit_for_bit(
    tmp_path: Path, folders: dict[str, str], norm: str
) -> None:
    config = TINY.changed(
        **folders,
        out=str(tmp_path / "whole"),
        discriminator_norm=norm,
        steps=24,
        copying_steps=4,
        batch=2,
        size=32,
        photo_size=40,
        pool=3,
        r1=0.1,
        ema=0.9,
        photo_share=0.2,
        snapshot_every=5,
    )
    assert run(config, [])
    parted = config.changed(out=str(tmp_path / "parted"))
    for step in (9, 20):
        events = stop_after(step)
        before = signal.getsignal(signal.SIGTERM)
        assert not run(parted, events, resume=step > 9)
        assert isinstance(events[-2], Saved)
        assert events[-1] == Finished(step + 1, is_complete=False, generator=None)
        assert signal.getsignal(signal.SIGTERM) is before
    last: list[Event] = []
    assert run(parted, last, resume=True)
    assert [event.step for event in last if isinstance(event, Stepped)] == [*range(21, 28)]
    assert files_of(tmp_path / "parted") == files_of(tmp_path / "whole")


def test_a_checkpoint_of_other_settings_is_refused_by_name(
    tmp_path: Path, folders: dict[str, str]
) -> None:
    config = TINY.changed(**folders, out=str(tmp_path), steps=2, copying_steps=0, save_every=1)
    with pytest.raises(InvalidTraining, match="nothing to resume"):
        run(config, [], resume=True)
    assert run(config, [])
    with pytest.raises(InvalidTraining, match=r"beta was 1\.0; seed was 0"):
        run(config.changed(beta=2.0, seed=1), [], resume=True)
    (tmp_path / "checkpoint.pt").write_bytes(b"nothing")
    with pytest.raises(InvalidTraining, match="is damaged"):
        run(config, [], resume=True)


def test_guards_go_on_from_a_checkpoint_too(tmp_path: Path, folders: dict[str, str]) -> None:
    """What was slowed down stays so: the remedy is part of the state."""
    config = TINY.changed(**folders, steps=8, copying_steps=0, snapshot_every=2)

    def run_with_fault(out: Path, stop: Sequence[int]) -> list[Event]:
        told: list[Event] = []
        for part, step in enumerate([*stop, None]):
            events = stop_after(step) if step is not None else []
            train(config.changed(out=str(out)), [events.append], resume=part > 0)
            told += events
        return told

    whole, parted = run_with_fault(tmp_path / "a", []), run_with_fault(tmp_path / "b", [3])
    assert not [event for event in whole + parted if isinstance(event, Warned)]
    assert files_of(tmp_path / "a") == files_of(tmp_path / "b")


def test_two_processes_learn_what_one_does_from_the_same_batches(
    tmp_path: Path, folders: dict[str, str]
) -> None:
    config = TINY.changed(
        **folders,
        steps=6,
        copying_steps=2,
        batch=4,
        accumulate=2,
        judged=4,
        augment=False,
        r1=0.1,
        generator_rate=2e-4,
        discriminator_rate=2e-4,
        out=str(tmp_path / "one"),
    )
    assert run(config, [])
    settings = config.changed(out=str(tmp_path / "two")).to_json()
    text = "\n".join(f"{name} = {to_toml(value)}" for name, value in settings.items())
    (tmp_path / "config.toml").write_text(text)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
            *("--nproc-per-node", "2", "-m", "styletransfer"),
            *("train", "--config", str(tmp_path / "config.toml")),
        ],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "step 8/8" in done.stderr
    generator, _ = make_networks(config)
    outputs, scores, weights = [], [], []
    for out in ("one", "two"):
        written = load_file(tmp_path / out / "generator.safetensors")
        generator.load_state_dict(written)
        judge = load_discriminator((tmp_path / out / "discriminator.safetensors").read_bytes())
        with torch.no_grad():
            outputs.append(generator(draw_photos()) / 255)
            scores.append(judge(draw_photos()))
        # A bias before a normalisation has no gradient but rounding, which Adam makes steps of.
        named = (written | judge.state_dict()).items()
        used = [each.flatten() for name, each in named if not UNUSED_BIAS.search(name)]
        weights.append(torch.cat(used))
    for one, two in (outputs, scores):
        assert float((one - two).abs().max()) <= 1e-5
    assert float((weights[0] - weights[1]).norm() / weights[0].norm()) <= 1e-5


def to_toml(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name} = {to_toml(each)}" for name, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(to_toml, value)) + "]"
    return f'"{value}"' if isinstance(value, str) else str(value).lower()
