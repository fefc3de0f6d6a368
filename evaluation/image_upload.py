"""Reading what an organizer uploaded: one picture, or a flat zip of pictures.

Nothing that a header says is believed: bytes are counted as they are read.
"""

import csv
import io
import re
import stat
import unicodedata
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO

from competitions.preparation_problems import PreparationRejected
from styletransfer.picture_files import is_png_or_jpeg

MOST_PICTURES = 2_000
MOST_BYTES = 2**30  # unpacked, all together
MOST_BYTES_OF_ONE = 100 * 2**20
# What zipfile reads at once before anything can be asked of it: 2,000 long names take far less.
MOST_BYTES_OF_LISTING = 4 * 2**20
MOST_BYTES_OF_CREDITS = 2**20
CREDITS = "credits.csv"
CREDIT_COLUMNS = {"credit": 200, "licence": 100, "source": 300}
NAME_LENGTH = 100
SHOWN = 5
_CHUNK = 1 << 20
_ZIP_SIGNATURES = (b"PK\x03\x04", b"PK\x05\x06")
_SYSTEM_FILES = re.compile(r"(^|/)(__MACOSX/|\.DS_Store$|Thumbs\.db$|desktop\.ini$|\._)")
_ENCRYPTED = 1


@dataclass(frozen=True)
class Source:
    """One file to be made an image: its label, and who is to be thanked for it."""

    file: str
    name: str
    words: Mapping[str, str]


class ImageUpload:
    """An upload whose listing has been checked; its pictures are read one by one."""

    def __init__(self, file: IO[bytes], *, label: str, words: Mapping[str, str]) -> None:
        """Look at what is in ``file``, called ``label``, without unpacking pictures.

        Raises:
            PreparationRejected: it is neither a picture nor a zip that can be used.
        """
        self._file = file
        self._unpacked = 0
        self._archive: zipfile.ZipFile | None = None
        head = file.read(16)
        if is_png_or_jpeg(head):
            self.sources = [Source(label, name_of(label), words)]
            return
        if not head.startswith(_ZIP_SIGNATURES):
            raise PreparationRejected("not_picture_nor_zip", file=label)
        try:
            self._archive = _open_archive(file)
        except (zipfile.BadZipFile, NotImplementedError, ValueError, OverflowError) as error:
            raise PreparationRejected("damaged_zip", reason=str(error)[:200]) from error
        self.sources = self._list(self._archive, words)

    def pictures(self) -> Iterator[tuple[Source, bytes]]:
        """Read the pictures one after another.

        Raises:
            PreparationRejected: one is damaged, or all together unpack to too many bytes.
        """
        for source in self.sources:
            yield source, self._read(source.file, MOST_BYTES_OF_ONE)

    def _list(self, archive: zipfile.ZipFile, words: Mapping[str, str]) -> list[Source]:
        infos = [info for info in archive.infolist() if not _SYSTEM_FILES.search(info.filename)]
        for info in infos:
            _require_plain(info)
        names = [info.filename for info in infos if info.filename.lower() != CREDITS]
        if not names:
            raise PreparationRejected("empty_zip")
        if len(names) > MOST_PICTURES:
            raise PreparationRejected("too_many_files", found=len(names), limit=MOST_PICTURES)
        if repeated := sorted(name for name, times in Counter(names).items() if times > 1):
            raise PreparationRejected("names_repeat", names=repeated[:SHOWN])
        names.sort(key=_natural)
        sources = {name: name_of(name) for name in names}
        _require_distinct(sources)
        credited = self._read_credits(infos, sources)
        return [
            Source(file, name, {**words, **credited.get(file, {})})
            for file, name in sources.items()
        ]

    def _read_credits(
        self, infos: list[zipfile.ZipInfo], sources: Mapping[str, str]
    ) -> dict[str, dict[str, str]]:
        found = [info.filename for info in infos if info.filename.lower() == CREDITS]
        if not found:
            return {}
        if len(found) > 1:
            raise PreparationRejected("names_repeat", names=found)
        return read_credits(self._read(found[0], MOST_BYTES_OF_CREDITS), sources)

    def _read(self, name: str, limit: int) -> bytes:
        if self._archive is None:
            self._file.seek(0)
            return self._count(self._file, name, limit)
        try:
            with self._archive.open(name) as entry:
                return self._count(entry, name, limit)
        except PreparationRejected:
            raise
        except Exception as error:  # a damaged zip makes zipfile and zlib raise whatever comes
            raise PreparationRejected("damaged_zip_entry", file=name) from error

    def _count(self, entry: IO[bytes], name: str, limit: int) -> bytes:
        chunks = []
        left = limit
        while chunk := entry.read(_CHUNK):
            left -= len(chunk)
            self._unpacked += len(chunk)
            if left < 0:
                raise PreparationRejected("file_too_large", file=name, limit=limit)
            if self._unpacked > MOST_BYTES:
                raise PreparationRejected("unpacks_to_too_much", limit=MOST_BYTES)
            chunks.append(chunk)
        return b"".join(chunks)


def name_of(file: str) -> str:
    """Return a file's name without its ending, fit to be shown."""
    stem = PurePosixPath(file.replace("\\", "/")).stem or file
    # Cc control, Cf format (right-to-left overrides hide an ending), Cs lone surrogates.
    kept = (
        char
        for char in unicodedata.normalize("NFC", stem)
        if unicodedata.category(char) not in {"Cc", "Cf", "Cs"}
    )
    return "".join(kept).strip()[:NAME_LENGTH] or "-"


def read_credits(data: bytes, sources: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Return by file name what ``credits.csv`` says of pictures: credit, licence and source.

    Its first line names the columns, of which ``name`` is needed: a file's name, with or without
    its ending.

    Raises:
        PreparationRejected: it can't be read, names no such picture, or says too much.
    """
    try:
        if b"\0" in data:
            raise csv.Error("NUL")
        rows = list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"))))
    except (UnicodeDecodeError, csv.Error) as error:
        raise PreparationRejected("credits_unreadable", reason=str(error)[:200]) from error
    if not rows or "name" not in rows[0]:
        raise PreparationRejected("credits_without_name")
    files = {name: file for file, name in sources.items()} | {file: file for file in sources}
    credited: dict[str, dict[str, str]] = {}
    for number, row in enumerate(rows, start=2):
        name = unicodedata.normalize("NFC", (row["name"] or "").strip())
        if name not in files:
            raise PreparationRejected("credits_of_nothing", line=number, name=name[:NAME_LENGTH])
        words = {key: (row.get(key) or "").strip() for key in CREDIT_COLUMNS}
        for key, limit in CREDIT_COLUMNS.items():
            if len(words[key]) > limit:
                raise PreparationRejected("credits_too_long", line=number, column=key, limit=limit)
        credited[files[name]] = {key: text for key, text in words.items() if text}
    return credited


def _open_archive(file: IO[bytes]) -> zipfile.ZipFile:
    # The very function by which zipfile finds how much it will read into memory: a listing of
    # millions of empty files has to be refused before that.
    end = zipfile._EndRecData(file)  # type: ignore[attr-defined]
    if end is None:
        raise zipfile.BadZipFile("no end of the listing")
    listing_bytes = end[5]
    if listing_bytes > MOST_BYTES_OF_LISTING:
        raise PreparationRejected("too_many_files", found=end[4], limit=MOST_PICTURES)
    return zipfile.ZipFile(file)


def _require_plain(info: zipfile.ZipInfo) -> None:
    """Refuse whatever is not a file at the top of the zip that can be read as it is."""
    name = info.filename
    if info.is_dir() or "/" in name or "\\" in name or name in {".", ".."}:
        raise PreparationRejected("folder_in_zip", file=name[:200])
    # Zip files of Unix keep a file's kind here; others leave these bits empty.
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in {0, stat.S_IFREG}:
        raise PreparationRejected("link_in_zip", file=name[:200])
    if info.flag_bits & _ENCRYPTED:
        raise PreparationRejected("encrypted_zip", file=name[:200])
    if info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        raise PreparationRejected("unknown_compression", file=name[:200])


def _require_distinct(sources: Mapping[str, str]) -> None:
    seen: dict[str, str] = {}
    repeated = []
    for file, name in sources.items():
        if seen.setdefault(name, file) != file:
            repeated.append(name)
    if repeated:
        raise PreparationRejected("names_repeat", names=repeated[:SHOWN])


def _natural(name: str) -> list[tuple[int, int, str]]:
    """Sort ``2`` before ``10``."""
    parts = re.split(r"(\d{1,15})", name.casefold())
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts]
