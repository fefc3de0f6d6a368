"""Paint what ``stylize`` was given."""

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from styletransfer.checkpoint import TorchGenerator, load_generator
from styletransfer.commands.arguments import NotThere, require_file
from styletransfer.commands.generator_file import read_generator
from styletransfer.commands.whole_file import NotWritable, require_new, write_whole
from styletransfer.determinism import make_deterministic
from styletransfer.devices import open_device
from styletransfer.errors import StyleTransferError
from styletransfer.images import encode_png, open_own_picture
from styletransfer.inference import Generator, Pixels
from styletransfer.painting import Painter
from styletransfer.picture_files import ImageRejected
from styletransfer.progress import show_progress
from styletransfer.videos import WRITTEN, Video, VideoProblem, is_video, open_video, write_video

PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp")


class SomeUnreadable(StyleTransferError):
    """Some pictures could not be read; the others are painted."""


def stylize(arguments: argparse.Namespace) -> None:
    """Do what the arguments of ``stylize`` say.

    Raises:
        StyleTransferError: of one of its kinds, before anything is painted; or `SomeUnreadable`.
    """
    sources = list_pictures(arguments.images)
    videos = [source for source in sources if is_video(source)]
    if videos and len(sources) > 1:
        raise VideoProblem(f"{videos[0]} is a video: give it alone")
    plan = {} if videos else name_outputs(sources, arguments.out)
    for path in plan.values():
        require_new(path, force=arguments.force)
    if arguments.style:
        require_file(arguments.style)
        style = read_picture(arguments.style)
    else:
        style = None
    painter = make_painter(arguments)
    if videos:
        paint_video(painter, videos[0], arguments.out, style, force=arguments.force)
    else:
        paint_pictures(painter, plan, style)


def list_pictures(named: Sequence[Path]) -> list[Path]:
    """Return the files that are named, and those in folders that are.

    Raises:
        NotThere: something is missing, or a folder holds no picture.
    """
    found: list[Path] = []
    for path in named:
        if not path.is_dir():
            require_file(path)
            found.append(path)
            continue
        inside = sorted(each for each in path.iterdir() if each.suffix.lower() in PICTURES)
        if not inside:
            raise NotThere(f"{path} holds no picture: {', '.join(PICTURES)}")
        found += inside
    return found


def name_outputs(sources: Sequence[Path], out: Path) -> dict[Path, Path]:
    """Return where each picture's result goes.

    Raises:
        NotWritable: two results would have one name, or a picture would be replaced by its own.
    """
    if out.suffix.lower() == ".png" and not out.is_dir():
        if len(sources) > 1:
            raise NotWritable(f"{out} is one file and there are {len(sources)} pictures: name a "
                              "folder to write to")  # fmt: skip
        plan = {sources[0]: out}
    elif out.suffix and not out.is_dir():
        raise NotWritable(f"{out}: results are PNG; end its name with .png, or name a folder")
    else:
        out.mkdir(parents=True, exist_ok=True)
        plan = {}
        taken: dict[Path, Path] = {}
        for source in dict.fromkeys(sources):
            target = out / f"{source.stem}.png"
            if target in taken:
                raise NotWritable(
                    f"{source} and {taken[target]} would both become {target}: rename one, or "
                    "paint them into different folders"
                )
            plan[source] = taken[target] = target
    for source, target in plan.items():
        if target.exists() and target.samefile(source):
            raise NotWritable(f"{target} would replace the picture it is made of: write elsewhere")
    return plan


def make_painter(arguments: argparse.Namespace) -> Painter:
    """Load the generator."""
    read = read_generator(arguments.generator, arguments.manifest)
    make_deterministic(arguments.threads)
    device = open_device(arguments.device)
    generator: Generator = load_generator(read.data, read.manifest)
    if isinstance(generator, TorchGenerator):
        generator.network.to(device)
    elif device.type != "cpu":
        raise StyleTransferError("an ONNX file runs on cpu here: leave --device out")
    if read.told:
        print(read.told, file=sys.stderr)
    return Painter(generator, tile=arguments.tile, overlap=arguments.overlap, batch=arguments.batch)


def paint_pictures(painter: Painter, plan: dict[Path, Path], style: Pixels | None) -> None:
    """Paint and write one after the other; what can't be read is named and left out.

    Raises:
        SomeUnreadable: there was such a one.
    """
    bad: list[str] = []
    read: list[Path] = []
    warn = TileWarning(painter)

    def contents() -> Iterator[Pixels]:
        for source in plan:
            try:
                picture = read_picture(source)
            except NotThere as error:
                bad.append(str(error))
                continue
            warn(picture)
            read.append(source)
            yield picture

    with show_progress("painting") as report:
        for number, painted in enumerate(painter.paint(contents(), style)):
            write_whole(plan[read[number]], encode_png(painted))
            report(number + 1 + len(bad), len(plan))
    if bad:
        others = f"; the other {len(read)} are painted" if read else ""
        raise SomeUnreadable(f"{'; '.join(bad)}{others}")


def paint_video(
    painter: Painter, path: Path, out: Path, style: Pixels | None, *, force: bool
) -> None:
    """Paint every frame, into a video or a folder of PNG files.

    Raises:
        VideoProblem, NotWritable: it can't be read, or not be written there.
    """
    if out.is_dir() or not out.suffix:
        out.mkdir(parents=True, exist_ok=True)
        if any(out.iterdir()) and not force:
            raise NotWritable(f"{out} is not empty: name another folder, or add --force")
        with open_video(path) as video:
            paint_frames(painter, video, style, _write_frames(out))
        return
    if out.suffix.lower() not in WRITTEN:
        raise NotWritable(f"{out}: videos are written as {', '.join(WRITTEN)}; or name a folder")
    require_new(out, force=force)
    if out.exists() and out.samefile(path):
        raise NotWritable(f"{out} would replace the video it is made of: write elsewhere")
    draft = out.with_name(f".{out.stem}.part{out.suffix}")
    try:
        with open_video(path) as video, write_video(draft, video) as write:
            paint_frames(painter, video, style, write)
        draft.replace(out)
    finally:
        draft.unlink(missing_ok=True)


def paint_frames(
    painter: Painter, video: Video, style: Pixels | None, write: Callable[[int, Pixels], None]
) -> None:
    """Paint the frames of a video in their order."""
    frames = video.read()
    warn = TileWarning(painter)
    done = 0
    with show_progress("painting") as report:
        while some := list(islice(frames, painter.batch)):
            warn(some[0][1])
            painted = painter.paint([frame for _, frame in some], style)
            for (time, _), result in zip(some, painted, strict=True):
                write(time, result)
                done += 1
                report(done, max(video.frames, done))


def _write_frames(folder: Path) -> Callable[[int, Pixels], None]:
    written = 0

    def write(_time: int, pixels: Pixels) -> None:
        nonlocal written
        written += 1
        write_whole(folder / f"{written:06}.png", encode_png(pixels))

    return write


@dataclass
class TileWarning:
    """Says once where tiles may show."""

    painter: Painter
    is_said: bool = False

    def __call__(self, picture: Pixels) -> None:
        if self.is_said or not self.painter.cuts_by_instance:
            return
        if self.painter.needs_tiles(picture):
            self.is_said = True
            print(
                "painted in tiles, which an ONNX graph may give a light of their own each: a file "
                "of weights does not, nor a graph of any size with a larger --tile",
                file=sys.stderr,
            )


def read_picture(path: Path) -> Pixels:
    """Read a picture.

    Raises:
        NotThere: it is none that can be read.
    """
    try:
        return open_own_picture(path.read_bytes())
    except ImageRejected as error:
        raise NotThere(f"{path} can't be read as a picture ({error})") from error
