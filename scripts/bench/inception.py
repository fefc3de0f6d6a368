"""The Inception network beside other tools' networks, each with its own preparation of pictures."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import torch

from scripts.bench import machine, peers, pictures
from scripts.bench.rows import Row, at_least
from scripts.bench.setting import Setting
from scripts.bench.timing import interleave
from styletransfer.devices import CPU, choose_batch
from styletransfer.inception import FidInception
from styletransfer.surrogates import INCEPTION
from styletransfer.values import Image
from styletransfer.vgg import to_batch
from styletransfer.weights import load_inception

SIDE, BATCH = 256, 6
UNIT = "CPU ms/image"


def measure(setting: Setting) -> Iterator[Row]:
    """Measure at one batch size for all, then at everybody's own."""
    ours = load_inception(INCEPTION)[0]
    tools = peers.open_peers(setting.weights)
    flop = count_flop(setting)
    yardstick = machine.Yardstick()
    counts = {"ours": BATCH, **dict.fromkeys(tools, BATCH)}
    yield from measure_batches(ours, tools, counts, yardstick, flop, setting.rounds)
    if setting.is_quick:
        return
    own = choose_batch(CPU, SIDE * SIDE)
    counts = {"ours": own, **{name: each.batch for name, each in tools.items()}}
    yield from measure_batches(ours, tools, counts, yardstick, flop, 2)


def count_flop(setting: Setting) -> float:
    """Count the operations of one picture, in the network as published."""
    return machine.count_flop(
        peers.open_pytorch_fid(setting.weights), torch.zeros(1, 3, SIDE, SIDE)
    )


def measure_batches(
    ours: FidInception,
    tools: Mapping[str, peers.Peer],
    counts: Mapping[str, int],
    yardstick: machine.Yardstick,
    flop: float,
    rounds: int,
) -> Iterator[Row]:
    """Measure all in turn, everybody with its number of pictures at a time."""
    images = [pictures.make(seed) for seed in range(max(counts.values()))]
    # Several of ours in a row where they are few: a short moment says little.
    times = -(-BATCH // counts["ours"])
    chosen = [images[: counts["ours"]]] * times
    runs: dict[str, Callable[[], object]] = {
        "ours": lambda: [ours(to_batch(batch)) for batch in chosen]
    }
    for name, tool in tools.items():
        runs[name] = bind(tool, images[: counts[name]])
    taken = interleave(runs | yardstick.variants(), rounds)
    per_image = {name: taken[name] / count for name, count in counts.items()}
    per_image["ours"] /= times
    rates = yardstick.rates(taken)
    batch = f"batches of {counts['ours']}"
    for name, rate in rates.items():
        share = 100 * flop / per_image["ours"] / rate
        limit = at_least(80) if name == "gemm" else None
        yield Row(
            f"Inception, {batch}, share of {name} ({rate / 1e9:.0f} GFLOP/s)", share, "%", bar=limit
        )
    for name in tools:
        yield Row(
            f"Inception, {batch}; peer {counts[name]}",
            per_image["ours"] * 1000,
            UNIT,
            name,
            per_image[name] * 1000,
            at_least(1.6),
        )


def bind(tool: peers.Peer, images: Sequence[Image]) -> Callable[[], object]:
    """Return a call that takes the features of these pictures."""
    return lambda: tool.features(images)
