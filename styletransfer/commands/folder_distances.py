"""Compare two folders of pictures as sets: what the command ``fid`` does."""

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from styletransfer.commands.fid import PREPARATIONS
from styletransfer.determinism import make_deterministic
from styletransfer.devices import open_device
from styletransfer.errors import MetricInputError
from styletransfer.folder_features import Convention, FeatureSet, measure_folder
from styletransfer.folders import Folder
from styletransfer.inception import FEATURES, FidInception
from styletransfer.metrics.frechet import frechet_distance
from styletransfer.metrics.kernel import kernel_distance
from styletransfer.metrics.memorization import mifid
from styletransfer.progress import show_progress
from styletransfer.weights import load_inception

SIDES = ("outputs", "references")


def compare_folders(arguments: argparse.Namespace) -> None:
    """Measure, print, and save what is to be kept."""
    metrics = list(dict.fromkeys(arguments.metric or ["fid_pytorch"]))
    preparations = list(dict.fromkeys(PREPARATIONS[metric] for metric in metrics))
    named = [path for path in (arguments.outputs, arguments.references) if path is not None]
    sources = [open_source(path) for path in named]
    make_deterministic(arguments.threads)
    device = open_device(arguments.device)
    with show_progress("weights") as report:
        network, sha256 = load_inception(
            arguments.inception,
            weights_dir=arguments.weights,
            on_progress=lambda done, of: report(done, of or done),
        )
    network.to(device)
    found: dict[str, float] = {}
    counts: dict[str, int | None] = {}
    for preparation in preparations:
        convention = Convention(preparation, sha256)
        sets = [take_features(source, network, convention) for source in sources]
        if arguments.save:
            sets[-1].write(arguments.save)
        if len(sets) == 2:
            counts = dict(zip(SIDES, (each.statistics.count for each in sets), strict=True))
            wanted = [metric for metric in metrics if PREPARATIONS[metric] == preparation]
            found |= {metric: MEASURES[metric](*sets) for metric in wanted}
    if len(named) == 2:
        show({metric: found[metric] for metric in metrics}, counts, as_json=arguments.json)


def open_source(path: Path) -> Folder | FeatureSet:
    """List a folder or read a file of features.

    Raises:
        FolderProblem, MetricInputError: it can't be used.
    """
    if path.suffix != ".npz":
        return Folder.read(path)
    read = FeatureSet.read(path)
    if read.statistics.dimensions != FEATURES:
        raise MetricInputError(
            f"{path} is of {read.statistics.dimensions} dimensions, Inception's are {FEATURES}"
        )
    return read


def take_features(
    source: Folder | FeatureSet, network: FidInception, convention: Convention
) -> FeatureSet:
    """Take the features of a folder's pictures; those of a file are there already.

    Raises:
        MetricInputError: the file was made with another preparation or other weights.
    """
    if isinstance(source, Folder):
        with show_progress(source.path.name) as report:
            return measure_folder(source, network, convention, report)
    if source.convention not in (None, convention):
        raise MetricInputError(
            f"{source.source} was made by {source.convention}, wanted is {convention}: distances "
            "between features of different kinds mean nothing"
        )
    return source


def show(values: Mapping[str, float], counts: Mapping[str, int | None], *, as_json: bool) -> None:
    """Print the values, and say where they are biased by few pictures."""
    if as_json:
        json.dump({"values": dict(values), "pictures": dict(counts)}, sys.stdout, indent=2)
        print()
        return
    for metric, value in values.items():
        print(f"{metric:<14}{value:.8g}")
    few = [count for count in counts.values() if count is not None and count <= FEATURES]
    if few and set(values) - {"kid"}:
        print(
            f"{min(few)} pictures are few: distances of sets are biased upwards below some "
            "thousands, compare only values of equal numbers",
            file=sys.stderr,
        )


def _frechet(outputs: FeatureSet, references: FeatureSet) -> float:
    return frechet_distance(outputs.statistics, references.statistics)


def _kernel(outputs: FeatureSet, references: FeatureSet) -> float:
    return kernel_distance(_rows("kid", outputs), _rows("kid", references))


def _memorization(outputs: FeatureSet, references: FeatureSet) -> float:
    return mifid(_rows("mifid", outputs), _rows("mifid", references))


def _rows(metric: str, features: FeatureSet) -> Any:
    if features.rows is None:
        raise MetricInputError(
            f"{metric} needs the features themselves and {features.source} holds their statistics "
            "only: name the folder, or a file that --save wrote"
        )
    return features.rows


MEASURES: Mapping[str, Callable[[FeatureSet, FeatureSet], float]] = {
    "fid_pytorch": _frechet,
    "fid_clean": _frechet,
    "kid": _kernel,
    "mifid": _memorization,
}
