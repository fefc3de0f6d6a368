"""The public pairs of a phase as a zip: what a participant needs to score at home as we do here.

Written while it is sent: one picture at a time is in memory, and no temporary file on the disk.
Equal contents give equal bytes, so that a browser which holds the file is spared it.
"""

import csv
import hashlib
import io
import json
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC

from django.core.files.storage import Storage
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import get_conditional_response, patch_cache_control
from django.utils.http import quote_etag
from django.utils.text import slugify
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from competitions.models import ImageRole, Pair, Phase, ReferenceImage
from competitions.spreadsheets import disarm
from styletransfer.values import hash_pairs

FOLDERS = {ImageRole.CONTENT: "contents", ImageRole.STYLE: "styles"}
COLUMNS = (
    *("position", "content", "style"),
    *("content_credit", "content_licence", "content_source"),
    *("style_credit", "style_licence", "style_source"),
)
NAME_CHARACTERS = 60


@dataclass(frozen=True)
class Picture:
    """A PNG of the set: where it lies on our side, and in the zip."""

    path: str
    stored: str
    storage: Storage

    def read(self) -> bytes:
        with self.storage.open(self.stored, "rb") as file:
            content: bytes = file.read()
        return content


@dataclass(frozen=True)
class PairsZip:
    name: str
    version: str
    """Equal for equal bytes."""
    texts: Sequence[tuple[str, str]]
    pictures: Sequence[Picture]
    date: tuple[int, int, int, int, int, int]

    def chunks(self) -> Iterator[bytes]:
        outbox = _Outbox()
        with zipfile.ZipFile(outbox, "w", zipfile.ZIP_STORED) as archive:
            for path, text in self.texts:
                archive.writestr(self._entry(path), text.encode())
                yield outbox.take()
            for picture in self.pictures:
                archive.writestr(self._entry(picture.path), picture.read())
                yield outbox.take()
        yield outbox.take()

    def _entry(self, path: str) -> zipfile.ZipInfo:
        entry = zipfile.ZipInfo(path, self.date)
        entry.external_attr = 0o644 << 16
        entry.create_system = 3
        return entry


class _Outbox(io.RawIOBase):
    """What the archive writes to, emptied after every entry; it can't be sought in."""

    def __init__(self) -> None:
        super().__init__()
        self._held: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: "bytes | bytearray | memoryview") -> int:  # type: ignore[override]
        self._held.append(bytes(data))
        return len(data)

    def take(self) -> bytes:
        taken = b"".join(self._held)
        self._held.clear()
        return taken


def pack_pairs(phase: Phase) -> PairsZip:
    """Describe the zip of a phase's pairs; pictures are read later, while it is sent."""
    pairs = list(
        Pair.objects.filter(reference_set=phase.reference_set_id)
        .select_related("content", "style")
        .order_by("position")
    )
    images = {image.pk: image for pair in pairs for image in (pair.content, pair.style)}
    paths = {pk: path_of(image) for pk, image in images.items()}
    texts = [
        ("README.txt", _readme(phase, len(pairs))),
        ("pairs.csv", _pairs_csv(pairs, paths)),
        ("recipe.json", json.dumps(describe(phase, pairs), indent=2) + "\n"),
    ]
    shown = [*texts, [image.pixels_sha256 for image in images.values()]]
    frozen_at = phase.reference_set.frozen_at or phase.reference_set.created_at
    date = frozen_at.astimezone(UTC)
    return PairsZip(
        name=f"{phase.competition.slug}-{phase.pk}-pairs.zip",
        version=hashlib.sha256(repr((shown, date)).encode()).hexdigest(),
        texts=texts,
        pictures=[
            Picture(paths[image.pk], str(image.file.name), image.file.storage)
            for image in sorted(images.values(), key=lambda image: paths[image.pk])
        ],
        date=(date.year, date.month, date.day, date.hour, date.minute, date.second),
    )


def path_of(image: ReferenceImage) -> str:
    """Name a picture in the zip: safe on any system, and unique by its place in the set."""
    name = slugify(image.name)[:NAME_CHARACTERS] or image.role
    return f"{FOLDERS[ImageRole(image.role)]}/{image.position:04d}-{name}.png"


def describe(phase: Phase, pairs: Sequence[Pair]) -> dict[str, object]:
    """Return how the phase scores; ``recipe`` is what ``Recipe.from_json`` reads."""
    return {
        "competition": phase.competition.slug,
        "phase": {"id": phase.pk, "name": phase.name},
        "recipe": phase.recipe.as_value().to_json(),
        "recipe_sha256": phase.recipe.sha256,
        "reference_set": {
            "sha256": phase.reference_set.sha256,
            "image_size": phase.reference_set.image_size,
            "pairs": len(pairs),
            "pairs_sha256": hash_pairs(
                [(pair.content.pixels_sha256, pair.style.pixels_sha256) for pair in pairs]
            ),
        },
        "ranking": {"metric": phase.ranking_metric, "direction": phase.ranking_direction},
        "extractors": {role: pin.to_json() for role, pin in phase.extractors.items()},
        "limits": {
            "max_checkpoint_bytes": phase.max_checkpoint_bytes,
            "time_limit_s": phase.time_limit_s,
            "memory_limit_bytes": phase.memory_limit_bytes,
        },
    }


def _pairs_csv(pairs: Sequence[Pair], paths: dict[int, str]) -> str:
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for pair in pairs:
        owed = (
            disarm(text)
            for image in (pair.content, pair.style)
            for text in (image.credit, image.licence, image.source)
        )
        writer.writerow([pair.position, paths[pair.content_id], paths[pair.style_id], *owed])
    return table.getvalue()


def _readme(phase: Phase, pairs: int) -> str:
    heading = ngettext(
        "%(competition)s, %(phase)s: %(pairs)d pair of %(size)d x %(size)d pixels.",
        "%(competition)s, %(phase)s: %(pairs)d pairs of %(size)d x %(size)d pixels.",
        pairs,
    ) % {
        "competition": phase.competition.title,
        "phase": phase.name,
        "pairs": pairs,
        "size": phase.reference_set.image_size,
    }
    files = (
        ("pairs.csv", _("which content gets which style, and whom the pictures are owed to")),
        ("contents/", _("content images, 8-bit RGB PNG")),
        ("styles/", _("style images, 8-bit RGB PNG")),
        ("recipe.json", _("how outputs are scored, by which networks, within which limits")),
    )
    lines = (f"{name:<13}{text}" for name, text in files)
    return "\n".join([heading, "", *lines, ""])


def send_pairs(request: HttpRequest, phase: Phase) -> HttpResponseBase:
    """Answer with the zip, or with 304 if the browser holds it; who may have it is asked before."""
    packed = pack_pairs(phase)
    etag = quote_etag(packed.version)
    response: HttpResponseBase | None = get_conditional_response(request, etag=etag)
    if response is None:
        if request.method == "HEAD":
            response = HttpResponse(content_type="application/zip")
        else:
            response = StreamingHttpResponse(packed.chunks(), content_type="application/zip")
        response["Content-Disposition"] = f'attachment; filename="{packed.name}"'
    response["ETag"] = etag
    response["X-Content-Type-Options"] = "nosniff"
    patch_cache_control(response, private=True, no_cache=True)
    return response
