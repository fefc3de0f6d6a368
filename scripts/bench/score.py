"""The whole score of a pair against the floating point operations that it can't do without."""

import hashlib
from collections.abc import Iterator
from typing import Any

import torch

from evaluation.demo.baselines import discriminator_bytes
from scripts.bench import inception, machine, scorer, vgg
from scripts.bench.rows import Row, at_most
from scripts.bench.setting import Setting
from scripts.bench.timing import interleave
from styletransfer.discriminator import load_discriminator

SIDE = 256


def measure(setting: Setting) -> Iterator[Row]:
    """Score as the platform does, from PNG files to intervals and flags."""
    pairs = setting.choose(24, quick=4)
    made, outputs = scorer.make_scorer(pairs), scorer.write_outputs(setting.folder / "made", pairs)
    made.prepare()
    cards: list[Any] = []

    def score() -> None:
        read = scorer.read_outputs(outputs)
        cards.append(made.score(read, checkpoint_sha256=hashlib.sha256(b"bench").hexdigest()))

    yardstick = machine.Yardstick()
    taken = interleave({"score": score} | yardstick.variants(), setting.choose(3, quick=1))
    needed = count_flop(setting)
    for name, rate in yardstick.rates(taken).items():
        times = taken["score"] / pairs / (needed / rate)
        limit = at_most(1.35) if name == "gemm" else None
        yield Row(f"whole score of a pair over its FLOP bound by {name}", times, "times", bar=limit)
    yield Row(f"  a pair, of {pairs}", 1000 * taken["score"] / pairs, "CPU ms")
    yield Row("  its operations", needed / 1e9, "GFLOP")
    for step, seconds in cards[-1].measurements.items():
        if step.endswith("_s") and step not in ("score_s", "score_cpu_s", "prepare_s"):
            yield Row(f"  {step.removesuffix('_s')}", 1000 * seconds / pairs, "ms")


def count_flop(setting: Setting) -> float:
    """Count the operations of VGG-19, Inception and the discriminator for one output."""
    judge = load_discriminator(discriminator_bytes())
    return (
        vgg.count_flop(SIDE, scorer.make_recipe())
        + inception.count_flop(setting)
        + machine.count_flop(judge, torch.zeros(1, 3, SIDE, SIDE))
    )
