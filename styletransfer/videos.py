"""Read the frames of a video and write others, through PyAV where it is installed."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from styletransfer.errors import StyleTransferError
from styletransfer.inference import Pixels

ENDINGS = (".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v")
# What is written: H.264 at a quality that is hard to tell from the frames.
WRITTEN = (".mp4", ".mkv", ".mov")
# Without macroblock trees: in x264's fast code they differ from run to run.
_OPTIONS = {"crf": "18", "preset": "medium", "threads": "1", "x264-params": "mbtree=0"}


class VideoProblem(StyleTransferError):
    """A video can't be read or written; says why."""


def is_video(path: Path) -> bool:
    """Tell by its name whether a file is a video."""
    return path.suffix.lower() in ENDINGS


@dataclass(frozen=True)
class Video:
    """A video that is open for reading.

    Attributes:
        path: its file.
        frames: how many there are, 0 if the file does not say.
        size: (height, width), upright.
    """

    path: Path
    frames: int
    size: tuple[int, int]
    container: Any
    stream: Any

    def read(self) -> Iterator[tuple[int, Pixels]]:
        """Yield each frame with its time, in the stream's units.

        Raises:
            VideoProblem: the file is damaged.
        """
        import av

        flags = av.video.reformatter.Interpolation
        try:
            for frame in self.container.decode(self.stream):
                exactly = flags.BICUBIC | flags.ACCURATE_RND | flags.BITEXACT
                pixels = frame.to_ndarray(format="rgb24", interpolation=exactly, threads=1)
                # A telephone held upright films lying, and says so.
                pixels = np.ascontiguousarray(np.rot90(pixels, _turns(frame)))
                yield int(frame.pts or 0), pixels
        except av.FFmpegError as error:
            raise VideoProblem(f"{self.path} is damaged: {error.strerror}") from error


@contextmanager
def open_video(path: Path) -> Iterator[Video]:
    """Open a video for reading.

    Raises:
        VideoProblem: PyAV is not installed, or the file holds no video.
    """
    av = _import_av()
    try:
        container = av.open(str(path))
    except (av.FFmpegError, OSError) as error:
        raise VideoProblem(f"{path} can't be read as a video: {error.strerror}") from error
    with container:
        if not container.streams.video:
            raise VideoProblem(f"{path} holds no video")
        stream = container.streams.video[0]
        first = next(container.decode(stream), None)
        if first is None:
            raise VideoProblem(f"{path} holds no frame")
        height, width = first.height, first.width
        if _turns(first) % 2:
            height, width = width, height
        container.seek(0)
        yield Video(path, stream.frames, (height, width), container, stream)


@contextmanager
def write_video(path: Path, like: Video) -> Iterator[Any]:
    """Give a function to write frames with: their time, and their pixels.

    Times are those of the video that it is made of, so it runs as fast; sound is left out. Equal
    frames give an equal file, by the same build of the library.
    """
    av = _import_av()
    with av.open(str(path), "w", container_options={"fflags": "+bitexact"}) as container:
        rate = like.stream.average_rate or 25
        stream = container.add_stream("libx264", rate=rate, options=_OPTIONS)
        stream.height, stream.width = like.size
        # Half of the colours' resolution wants even sides, and is what every player shows.
        is_even = not any(side % 2 for side in like.size)
        stream.pix_fmt = "yuv420p" if is_even else "yuv444p"
        stream.codec_context.time_base = like.stream.time_base
        stream.codec_context.flags |= av.codec.context.Flags.bitexact

        flags = av.video.reformatter.Interpolation
        exactly = flags.BICUBIC | flags.ACCURATE_RND | flags.BITEXACT | flags.FULL_CHR_H_INP

        def write(time: int, pixels: Pixels) -> None:
            given = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            # Else the rounding depends on where in memory the frame happens to lie.
            frame = given.reformat(format=stream.pix_fmt, interpolation=exactly, threads=1)
            frame.pts, frame.time_base = time, like.stream.time_base
            container.mux(stream.encode(frame))

        yield write
        container.mux(stream.encode(None))


def _turns(frame: Any) -> int:
    """Return by how many quarters to the left a frame has to be turned to stand upright."""
    return round(getattr(frame, "rotation", 0) / 90) % 4


def _import_av() -> Any:
    try:
        import av
    except ImportError as error:
        raise VideoProblem(
            "videos need PyAV: pip install 'stylearena[video]', or give a folder of frames"
        ) from error
    return av
