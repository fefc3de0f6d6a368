"""What ``train-discriminator`` does, with torch."""

import argparse
import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

from styletransfer.checkpoint import load_generator
from styletransfer.commands.manifests import choose_manifest
from styletransfer.commands.whole_file import require_writable, write_whole
from styletransfer.devices import open_device
from styletransfer.discriminator import PatchGan, save_discriminator
from styletransfer.images import convert_picture, encode_png
from styletransfer.inference import stylise, to_pixels
from styletransfer.progress import show_progress
from styletransfer.training.config import InvalidTraining
from styletransfer.training.initial import initialise
from styletransfer.training.judging import Quality, WithGrey, examine, learn_to_judge
from styletransfer.training.pictures import Cut, FilePictures, Pictures, Several, list_pictures
from styletransfer.training.precision import prepare_arithmetic

HELD_OUT = 5  # every so many pictures one is held out
KEPT_MIB = 512


@dataclass(frozen=True)
class Split:
    """Files to learn from, and files to be examined on."""

    learned: list[Path]
    held_out: list[Path]

    @classmethod
    def of(cls, files: Sequence[Path], what: str) -> "Split":
        """Hold a fifth out.

        Raises:
            InvalidTraining: there are too few.
        """
        held_out = [file for number, file in enumerate(files) if number % HELD_OUT == 0]
        learned = [file for number, file in enumerate(files) if number % HELD_OUT]
        if not learned:
            raise InvalidTraining(
                f"{what}: {len(files)} are too few to hold any out, give 2 or more"
            )
        return cls(learned, held_out)


def train(arguments: argparse.Namespace) -> None:
    """Train as the command line says.

    Raises:
        StyleTransferError: something named can't be used.
    """
    require_writable(arguments.out)
    device = open_device(arguments.device)
    prepare_arithmetic("float32", device, arguments.threads)
    reals = Split.of(list_pictures(arguments.reals), "paintings")
    photos = Split.of(list_pictures(arguments.contents), "photographs")
    with tempfile.TemporaryDirectory(prefix="outputs-") as folder:
        kinds = list(gather_others(arguments, photos, Path(folder)))
        if not kinds:
            raise InvalidTraining("nothing to tell paintings from: name a --generator or --outputs")
        network = PatchGan(arguments.ndf, norm=arguments.norm)
        initialise(network, seed=arguments.seed)
        if arguments.norm == "spectral":
            torch.manual_seed(arguments.seed)
            network.limit_weights()
        network.to(device)
        with show_progress("training") as report:
            learn_to_judge(
                network,
                reals=WithGrey(open_windows(arguments, reals.learned, 1)),
                others=WithGrey(
                    Several([open_windows(arguments, kind.learned, 2) for kind in kinds])
                ),
                steps=arguments.steps,
                batch=arguments.batch,
                rate=arguments.rate,
                seed=arguments.seed,
                on_step=lambda done, _: report(done, arguments.steps),
            )
        network.eval()
        others = [file for kind in kinds for file in kind.held_out]
        quality = examine(
            network,
            *(open_whole(files, arguments.size, device) for files in (reals.held_out, others)),
        )
    data = save_discriminator(network)
    arguments.out.write_bytes(data)
    report_file = arguments.out.with_suffix(".json")
    write_whole(report_file, json.dumps(asdict(quality), indent=2) + "\n")
    print(describe(quality))
    print(f"written to {arguments.out}, the figures to {report_file}")


def gather_others(arguments: argparse.Namespace, photos: Split, folder: Path) -> Iterator[Split]:
    """Give each kind of pictures that are not paintings."""
    if arguments.photographs:
        yield photos
    for outputs in arguments.outputs:
        yield Split.of(list_pictures(outputs), f"pictures of {outputs}")
    styles = list_pictures(arguments.styles or arguments.reals)
    for number, path in enumerate(arguments.generator):
        yield Split(
            *(
                paint(path, files, styles, folder / f"{number}-{part}", arguments.size)
                for part, files in (("learned", photos.learned), ("held", photos.held_out))
            )
        )


def paint(
    path: Path, photos: Sequence[Path], styles: Sequence[Path], folder: Path, size: int
) -> list[Path]:
    """Run a generator on photographs, each with one of the styles, and keep what it makes."""
    data = path.read_bytes()
    manifest, _ = choose_manifest(None, data)
    generator = load_generator(data, manifest)
    folder.mkdir(parents=True)
    made = []
    with show_progress(path.name) as report:
        for number, photo in enumerate(photos):
            content, style = (
                convert_picture(file.read_bytes(), side=size)
                for file in (photo, styles[number % len(styles)])
            )
            made.append(folder / f"{number:05}.png")
            made[-1].write_bytes(encode_png(to_pixels(stylise(generator, content, style))))
            report(number + 1, len(photos))
    return made


def open_windows(arguments: argparse.Namespace, files: list[Path], kind: int) -> Pictures:
    """Open files as random windows of what they are at the phase's size."""
    window = min(arguments.window, arguments.size)
    cut = Cut(window, window / arguments.size, 0.8, is_random=True, seed=(arguments.seed, kind))
    return FilePictures(files, cut, cache_bytes=KEPT_MIB << 18)


def open_whole(files: list[Path], size: int, device: torch.device) -> list[Tensor]:
    """Read files as the phase has them."""
    pictures = FilePictures(files, Cut(size))
    return [pictures.take([number], [(0, 0)]).to(device) for number in range(len(files))]


def describe(quality: Quality) -> str:
    """Write what the examination found."""
    lines = [
        f"on {quality.reals} paintings and {quality.others} other pictures held out:",
        f"  AUC {quality.auc:.4f}   Brier score {quality.brier:.4f}"
        f"   calibration error {quality.calibration_error:.4f}",
        "  score  share of paintings  weight",
    ]
    lines += [
        f"  {score:5.2f}  {share:18.2f}  {weight:6.2f}" for score, share, weight in quality.bins
    ]
    return "\n".join(lines)
