"""``fid``: compare two folders of pictures as sets."""

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from styletransfer.determinism import make_deterministic
from styletransfer.devices import open_device
from styletransfer.errors import MetricInputError
from styletransfer.folder_features import Convention, FeatureSet, measure_folder
from styletransfer.folders import Folder
from styletransfer.inception import FEATURES, FidInception
from styletransfer.metrics.frechet import frechet_distance
from styletransfer.metrics.kernel import kernel_distance
from styletransfer.metrics.memorization import mifid
from styletransfer.pretrained import INCEPTION
from styletransfer.progress import show_progress
from styletransfer.weights import load_inception

EXAMPLES = """\
examples:
  python -m styletransfer fid outputs paintings
  python -m styletransfer fid outputs paintings --metric fid_pytorch --metric kid

  Keep the features of the paintings and compare with them later, without computing them again:
    python -m styletransfer fid paintings --save paintings.npz
    python -m styletransfer fid outputs paintings.npz

A folder holds 8-bit RGB PNG files, of any sizes. An npz file is one that --save wrote, or one with
the mu and sigma that pytorch-fid writes (it also reads ours). fid_pytorch agrees with pytorch-fid,
fid_clean with clean-fid; values of one are never comparable with those of the other, nor are values
of different numbers of pictures. kid has no such bias.
"""

# How the metrics want pictures prepared for the network.
PREPARATIONS: Mapping[str, str] = {
    "fid_pytorch": "pytorch",
    "fid_clean": "clean",
    "kid": "pytorch",
    "mifid": "pytorch",
}

SIDES = ("outputs", "references")


def add_parser(commands: Any) -> None:
    """Add the command to ``commands``, which ``argparse`` made."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "fid",
        help="compare two folders of pictures: FID, KID, MiFID",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("outputs", type=Path, help="folder of PNG files, or an npz file")
    add("references", type=Path, nargs="?", help="what they are compared with: the same")
    add(
        "--metric",
        action="append",
        choices=list(PREPARATIONS),
        help="may be given several times; fid_pytorch if not given",
    )
    add(
        "--save", type=Path, metavar="FILE", help="keep the last folder's features in this npz file"
    )
    add("--inception", default=INCEPTION, help="name of the Inception weights")
    add("--weights", type=Path, help="folder of published weights; else they are fetched")
    add("--device", default="cpu", help="cpu, cuda, cuda:1, or auto for a GPU if there is one")
    add("--threads", type=int, default=1, help="more are faster and change the last bits")
    add("--json", action="store_true", help="print JSON instead of a table")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Measure, print, and save what is to be kept."""
    metrics = list(dict.fromkeys(arguments.metric or ["fid_pytorch"]))
    preparations = list(dict.fromkeys(PREPARATIONS[metric] for metric in metrics))
    require_sense(arguments, preparations)
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


def require_sense(arguments: argparse.Namespace, preparations: list[str]) -> None:
    """Refuse what can't be meant.

    Raises:
        MetricInputError: nothing to do, or nothing that could be saved.
    """
    if arguments.references is None and not arguments.save:
        raise MetricInputError("name what to compare with, or a file with --save; see --help")
    if not arguments.save:
        return
    last = arguments.references or arguments.outputs
    if not last.is_dir():
        raise MetricInputError(f"--save keeps the features of a folder, and {last} is none")
    if len(preparations) > 1:
        raise MetricInputError(
            "--save keeps the features of one preparation: leave out fid_clean, or the others"
        )
    if arguments.save.suffix != ".npz":
        raise MetricInputError(f"--save writes an npz file: call it {arguments.save}.npz")


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
