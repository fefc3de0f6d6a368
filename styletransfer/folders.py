"""A reference set from folders of PNG files, as somebody has it at home."""

import csv
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from styletransfer.clock import count_cores
from styletransfer.errors import StyleTransferError
from styletransfer.images import decode_png, pixels_sha256
from styletransfer.picture_files import ImageRejected
from styletransfer.references import Progress, count_up, require_consistent
from styletransfer.values import Image, ReferenceImages, hash_pairs, hash_references

# Pillow decodes without holding the interpreter; what waits decoded has to fit into memory.
_THREADS = min(count_cores(), 16)
_AHEAD = 4 * _THREADS


class FolderProblem(StyleTransferError, ValueError):
    """A folder or a table of pairs can't be used; says which and what to do."""


@dataclass(frozen=True)
class Folder:
    """The PNG files of a folder, in the order of their names."""

    path: Path
    files: Sequence[Path]

    @classmethod
    def read(cls, path: Path) -> "Folder":
        """List a folder.

        Raises:
            FolderProblem: it is not there or holds no PNG.
        """
        if not path.is_dir():
            raise FolderProblem(f"{path} is not a folder")
        files = sorted(file for file in path.iterdir() if file.suffix.lower() == ".png")
        if not files:
            raise FolderProblem(f"{path} holds no PNG: pictures have to be 8-bit RGB PNG files")
        return cls(path, files)

    def images(self) -> Iterator[Image]:
        """Decode every file, a few ahead of the one that is asked for, on all cores there are.

        Raises:
            FolderProblem: one is not an 8-bit RGB PNG.
        """
        with ThreadPoolExecutor(_THREADS) as threads:
            ahead: deque[Future[Image]] = deque()
            try:
                for file in self.files:
                    ahead.append(threads.submit(read_image, file))
                    if len(ahead) > _AHEAD:
                        yield ahead.popleft().result()
                while ahead:
                    yield ahead.popleft().result()
            finally:
                threads.shutdown(wait=False, cancel_futures=True)

    def index_of(self, name: str, table: Path) -> int:
        """Return the place of a file that a table names, by its name or a path to it.

        Raises:
            FolderProblem: the folder does not hold it.
        """
        for index, file in enumerate(self.files):
            if Path(name).name == file.name:
                return index
        raise FolderProblem(f"{table} names {name}, which is not in {self.path}")


def read_references(
    contents: Folder,
    styles: Folder,
    reals: Folder | None,
    pairs: Path | None,
    on_progress: Progress | None = None,
) -> ReferenceImages:
    """Read a reference set.

    Args:
        contents: the content images.
        styles: the style images.
        reals: images of the target style for FID, if there are any.
        pairs: a CSV file with the columns ``content`` and ``style``; without one each content
            image gets a style image, in turn.
        on_progress: is told how many pictures have been read.

    Raises:
        FolderProblem: a file is missing, or no PNG, or of another size than the others, or the
            table can't be read.
    """
    if pairs is not None:
        chosen = read_pairs(pairs, contents, styles)
    else:
        chosen = [(index, index % len(styles.files)) for index in range(len(contents.files))]
    folders = {"content": contents, "style": styles} | ({"real": reals} if reals else {})
    advance = count_up(sum(len(each.files) for each in folders.values()), on_progress)
    images: dict[str, list[Image]] = {"real": []}
    images |= {role: _read_all(folder, advance) for role, folder in folders.items()}
    _require_one_size([(folders[role], some) for role, some in images.items() if some])
    return ReferenceImages(
        contents=images["content"],
        styles=images["style"],
        reals=images["real"],
        pairs=chosen,
        sha256=_hash(images, chosen),
    )


def read_pairs(table: Path, contents: Folder, styles: Folder) -> list[tuple[int, int]]:
    """Read which content image meets which style image.

    Raises:
        FolderProblem: a column or a file is missing, or there are no rows.
    """
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file, restval=""))  # a short row names nothing
    except (UnicodeDecodeError, csv.Error) as error:
        raise FolderProblem(f"{table} is not a CSV file in UTF-8: {error}") from error
    if not rows:
        raise FolderProblem(f"{table} has no rows; it needs the columns content and style")
    if not {"content", "style"} <= rows[0].keys():
        raise FolderProblem(f"{table} needs the columns content and style")
    return [
        (contents.index_of(row["content"], table), styles.index_of(row["style"], table))
        for row in rows
    ]


def read_image(file: Path) -> Image:
    """Decode one file.

    Raises:
        FolderProblem: it is not an 8-bit RGB PNG.
    """
    try:
        return decode_png(file.read_bytes())
    except ImageRejected as error:
        raise FolderProblem(
            f"{file} can't be used ({error}): pictures have to be 8-bit RGB PNG files"
        ) from error


def _read_all(folder: Folder, advance: Callable[[], None]) -> list[Image]:
    found = []
    for image in folder.images():
        found.append(image)
        advance()
    return found


def _require_one_size(read: Sequence[tuple[Folder, Sequence[Image]]]) -> None:
    sized = [
        (file, image.shape[:2])
        for folder, images in read
        for file, image in zip(folder.files, images, strict=True)
    ]
    first, size = sized[0]
    for file, other in sized:
        if other != size:
            raise FolderProblem(
                f"{file} has {other[1]} x {other[0]} pixels, {first} has {size[1]} x {size[0]}: "
                "all pictures have to be of one size"
            )


def hash_pairs_of(references: ReferenceImages) -> str:
    """Name the pairs by their pictures; see ``hash_pairs``."""
    contents = [pixels_sha256(image) for image in references.contents]
    styles = [pixels_sha256(image) for image in references.styles]
    return hash_pairs([(contents[content], styles[style]) for content, style in references.pairs])


def _hash(images: Mapping[str, list[Image]], pairs: list[tuple[int, int]]) -> str:
    hashes = {role: [pixels_sha256(image) for image in some] for role, some in images.items()}
    named = ReferenceImages(images["content"], images["style"], pairs, images["real"], sha256="")
    require_consistent(named)
    return hash_references(image_size=len(images["content"][0]), pixel_hashes=hashes, pairs=pairs)
