"""FID beside other tools: values from equal files and weights, and what whole programs take."""

import contextlib
import io
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from scripts.bench import peers
from scripts.bench.rows import Row, at_least, at_most
from scripts.bench.setting import Setting
from scripts.bench.timing import run_python
from styletransfer.folder_features import Convention, measure_folder
from styletransfer.folders import Folder
from styletransfer.inception import FidInception
from styletransfer.metrics.frechet import FeatureStatistics, frechet_distance
from styletransfer.surrogates import INCEPTION
from styletransfer.values import Image
from styletransfer.vgg import to_batch

UNIT = "CPU s"
# The bar of each comparison of 20 + 20 pictures.
TOOLS = {"pytorch-fid": 4.0, "torch-fidelity": 2.0, "torchmetrics": 2.0, "clean-fid": None}
BATCHES = (1, 7, 50)


def measure(setting: Setting) -> Iterator[Row]:
    """Compare values first, then programs."""
    yield from measure_agreement(setting)
    yield from measure_cached(setting)
    yield from measure_small(setting)


def measure_agreement(setting: Setting) -> Iterator[Row]:
    """Compare with pytorch-fid's own reading, network and distance on the same files."""
    count = setting.choose(50, quick=4)
    folders = [setting.pictures(name, count, seed=seed) for name, seed in (("a", 1), ("b", 2))]
    weights = peers.write_weights(setting.folder / "normalised", seed=7)
    network = FidInception(peers.inception_weights(seed=7))
    ours = [
        measure_folder(Folder.read(folder), network, Convention("pytorch", "")).statistics
        for folder in folders
    ]
    theirs = run_pytorch_fid(weights, folders, batch=min(50, count))
    value = frechet_distance(*ours)
    what = f"fid_pytorch, {count} + {count} PNGs, relative difference"
    yield Row(what, abs(value / theirs - 1), "", "pytorch-fid", bar=at_most(1e-5))
    same = frechet_distance(ours[0], ours[0]) / (2 * float(np.trace(ours[0].covariance)))
    yield Row("a set with itself", same, "of scale", bar=at_most(1e-9))
    images = [list(Folder.read(folder).images()) for folder in folders]
    single = batched_distance(network, images, 1)
    changed = [abs(batched_distance(network, images, batch) / single - 1) for batch in BATCHES]
    what = f"in batches of {' / '.join(map(str, BATCHES))}, relative difference"
    yield Row(what, max(changed), "", bar=at_most(1e-6))
    backwards = [side[::-1] for side in images]
    turned = abs(batched_distance(network, backwards, BATCHES[1]) / single - 1)
    yield Row("files in the opposite order, relative difference", turned, "", bar=at_most(1e-6))


def run_pytorch_fid(weights: Path, folders: Sequence[Path], *, batch: int) -> float:
    """Return pytorch-fid's distance of two folders."""
    network = peers.open_pytorch_fid(weights)
    from pytorch_fid import fid_score

    # Its progress bars and warnings would tear our table apart.
    with contextlib.redirect_stderr(io.StringIO()):
        moments = [
            fid_score.compute_statistics_of_path(str(folder), network, batch, 2048, "cpu", 0)
            for folder in folders
        ]
        (mean, covariance), (other_mean, other_covariance) = moments
        return float(
            fid_score.calculate_frechet_distance(mean, covariance, other_mean, other_covariance)
        )


def batched_distance(network: FidInception, sides: Sequence[Sequence[Image]], batch: int) -> float:
    """Return our distance with so many pictures at a time."""
    statistics = []
    for images in sides:
        one = FeatureStatistics()
        for start in range(0, len(images), batch):
            one.update(network(to_batch(images[start : start + batch])).numpy())
        statistics.append(one)
    return frechet_distance(*statistics)


def measure_cached(setting: Setting) -> Iterator[Row]:
    """Compare a folder with statistics that are there already, as whole programs."""
    count = setting.choose(200, quick=6)
    outputs = setting.pictures("outputs", count, seed=3)
    references = setting.pictures("references", count, seed=4)
    theirs, ours = setting.folder / "theirs.npz", setting.folder / "ours.npz"
    run_peer(setting, "pytorch-fid", "--save-stats", references, theirs)
    run_ours(references, "--save", ours)
    peer = run_peer(setting, "pytorch-fid", outputs, theirs)
    for name, file in (("its npz", theirs), ("an npz of --save", ours)):
        found = run_ours(outputs, file)
        what = f"fid command, {count} PNGs against {name}"
        limit = setting.full_only(at_least(2.2))
        yield Row(what, found.cpu_s, UNIT, "pytorch-fid", peer.cpu_s, limit)
        difference = abs(_value(found.output) / _value(peer.output) - 1)
        yield Row("  the same, relative difference", difference, "", bar=at_most(1e-5))


def measure_small(setting: Setting) -> Iterator[Row]:
    """Compare two small folders, as whole programs."""
    count = setting.choose(20, quick=4)
    folders = [setting.pictures(name, count, seed=seed) for name, seed in (("c", 5), ("d", 6))]
    for tool, bar in TOOLS.items():
        peer = run_peer(setting, tool, *folders)
        chosen = ("--metric", "fid_clean") if tool == "clean-fid" else ()
        found = run_ours(*folders, *chosen)
        what = f"fid command, {count} + {count} PNGs"
        limit = setting.full_only(at_least(bar)) if bar else None
        yield Row(what, found.cpu_s, UNIT, tool, peer.cpu_s, limit)
        if tool in ("pytorch-fid", "clean-fid"):
            difference = abs(_value(found.output) / _value(peer.output) - 1)
            yield Row("  the same, relative difference", difference, "", bar=at_most(1e-5))


def run_ours(*arguments: object) -> Any:
    """Run our command."""
    return run_python(["-m", "styletransfer", "fid", *arguments, "--inception", INCEPTION])


def run_peer(setting: Setting, tool: str, *arguments: object) -> Any:
    """Run another tool's program."""
    return run_python(["-m", "scripts.bench.peer_program", tool, setting.weights, *arguments])


def _value(output: str) -> float:
    return float(re.findall(r"^(?:FID: |fid_\w+) +(\S+)$", output, re.MULTILINE)[-1])
