"""What organizers upload becomes images of a set, all of it or nothing, and says why."""

import io
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.conf import settings
from PIL import Image

from competitions import reference_images
from competitions.models import (
    ImageRole,
    Pair,
    Pairing,
    Preparation,
    PreparationStatus,
    ReferenceImage,
)
from competitions.preparation_problems import CODES, Problem
from competitions.services import freeze_reference_set
from evaluation import image_upload
from styletransfer.images import decode_png, pixels_sha256
from tests.factories import make_png
from tests.organizing.uploads import ask, bring_in, make_empty_set, pack, pictures, run

pytestmark = pytest.mark.django_db


def stored() -> set[str]:
    return {path.name for path in Path(settings.MEDIA_ROOT).rglob("*") if path.is_file()}


def assert_rejected(done: Preparation, code: str) -> str:
    """Check the code and that nothing is left; return the sentence."""
    assert (done.status, done.problem_code) == (PreparationStatus.REJECTED, code), (
        done.problem_facts
    )
    assert not done.upload
    assert done.finished_at is not None
    assert code in CODES
    detail = Problem(code, done.problem_facts).detail
    assert "?" not in detail
    assert "{" not in detail
    return detail


def rejected(data: bytes, code: str, **options: Any) -> str:
    detail = assert_rejected(bring_in(make_empty_set(), data, **options), code)
    assert not ReferenceImage.objects.exists()
    assert stored() == set()
    return detail


# --- What comes in ------------------------------------------------------------------------------
def test_a_zip_becomes_images_of_the_sets_size_in_the_order_of_their_names() -> None:
    reference_set = make_empty_set(size=32)
    done = bring_in(
        reference_set,
        pack(pictures("b10.png", "b2.png", "a.png")),
        credit="Ann",
        licence="CC0",
        source="https://example.org",
    )
    assert (done.status, done.progress_done, done.progress_of) == ("done", 3, 3)
    assert done.result["images"] == 3
    images = list(reference_set.images.all())
    assert [(image.name, image.position) for image in images] == [("a", 0), ("b2", 1), ("b10", 2)]
    for image in images:
        assert (image.credit, image.licence, image.source) == ("Ann", "CC0", "https://example.org")
        with image.file.open("rb") as file:
            pixels = decode_png(file.read(), size=(32, 32))
        assert image.pixels_sha256 == pixels_sha256(pixels)
        with image.thumbnail.open("rb") as file, Image.open(file) as small:
            assert small.format == "WEBP"
    assert not done.upload
    assert len(stored()) == 6


def test_one_picture_needs_no_zip() -> None:
    reference_set = make_empty_set()
    assert bring_in(reference_set, make_png(1), file_name="Röntgen.final.png").status == "done"
    assert reference_set.images.get().name == "Röntgen.final"


def test_pictures_that_had_to_be_enlarged_are_told_of() -> None:
    done = bring_in(make_empty_set(size=64), pack(pictures("small.png", size=40)))
    assert (done.result["enlarged"], done.result["enlarged_names"]) == (1, ["small"])


def test_credits_of_single_pictures_come_from_a_csv_file() -> None:
    reference_set = make_empty_set()
    table = "\ufeffname,credit,licence,source\na.png,Ann,,\nb,Ben,CC BY 4.0,https://b.example\n"
    files = pictures("a.png", "b.jpg", "c.png") | {"Credits.csv": table.encode()}
    assert bring_in(reference_set, pack(files), credit="All", licence="CC0").status == "done"
    words = {image.name: (image.credit, image.licence) for image in reference_set.images.all()}
    assert words == {"a": ("Ann", "CC0"), "b": ("Ben", "CC BY 4.0"), "c": ("All", "CC0")}


def test_what_systems_hide_in_a_zip_is_passed_over() -> None:
    reference_set = make_empty_set()
    hidden = dict.fromkeys(("__MACOSX/._a.png", ".DS_Store", "Thumbs.db", "._a.png"), b"x")
    assert bring_in(reference_set, pack(pictures("a.png") | hidden)).status == "done"
    assert reference_set.images.count() == 1


def test_more_pictures_come_after_those_that_are_there() -> None:
    reference_set = make_empty_set()
    bring_in(reference_set, pack(pictures("a.png", "b.png", seed=1)))
    bring_in(reference_set, pack(pictures("c.png", seed=2)))
    assert [image.name for image in reference_set.images.all()] == ["a", "b", "c"]


# --- Pairs --------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("pairing", "expected"),
    [
        (Pairing.IN_TURN, ["c0 s0", "c1 s1", "c2 s0"]),
        (Pairing.ALL, ["c0 s0", "c0 s1", "c1 s0", "c1 s1", "c2 s0", "c2 s1"]),
    ],
)
def test_pairs_are_made_anew_with_every_import(pairing: str, expected: list[str]) -> None:
    reference_set = make_empty_set(pairing=pairing)
    contents = pack(pictures("c0.png", "c1.png", "c2.png", seed=1))
    assert bring_in(reference_set, contents).result["pairs"] == 0
    done = bring_in(reference_set, pack(pictures("s0.png", "s1.png", seed=2)), role=ImageRole.STYLE)
    assert done.result["pairs"] == len(expected)
    assert [
        f"{pair.content} {pair.style}" for pair in Pair.objects.select_related("content", "style")
    ] == expected


def test_reference_paintings_make_no_pairs() -> None:
    reference_set = make_empty_set()
    bring_in(reference_set, pack(pictures("c.png", seed=1)))
    bring_in(reference_set, pack(pictures("s.png", seed=2)), role=ImageRole.STYLE)
    bring_in(reference_set, pack(pictures("r.png", seed=3)), role=ImageRole.REAL)
    assert reference_set.pairs.count() == 1


def test_too_many_pairs_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference_images, "MOST_PAIRS", 3)
    reference_set = make_empty_set(pairing=Pairing.ALL)
    bring_in(reference_set, pack(pictures("a.png", "b.png", seed=1)))
    styles = pack(pictures("s.png", "t.png", seed=2))
    detail = assert_rejected(
        bring_in(reference_set, styles, role=ImageRole.STYLE), "too_many_pairs"
    )
    assert "4 pairs" in detail
    assert reference_set.images.count() == 2


# --- Zips that are refused ----------------------------------------------------------------------
def test_a_zip_bomb_is_stopped_while_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_upload, "MOST_BYTES", 5 * 2**20)
    files = {f"{number}.png": make_png(number) + bytes(2_000_000) for number in range(9)}
    data = pack(files)
    assert len(data) < 100_000
    assert "5.0" in rejected(data, "unpacks_to_too_much")


def test_a_single_huge_file_is_stopped_while_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_upload, "MOST_BYTES_OF_ONE", 1_000_000)
    rejected(pack({"a.png": make_png(1) + bytes(1_000_001)}), "file_too_large")


def test_headers_that_lie_about_a_size_do_not_help_a_bomb(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_upload, "MOST_BYTES_OF_ONE", 1_000_000)
    data = pack({"a.png": make_png(1) + bytes(3_000_000)})
    true = struct.pack("<I", len(make_png(1)) + 3_000_000)
    assert data.count(true) == 2  # before the file and in the listing
    rejected(data.replace(true, struct.pack("<I", 1_000)), "damaged_zip_entry")


def test_files_that_overlap_in_a_zip_are_counted_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_upload, "MOST_BYTES", 2_000_000)
    data = bytearray(pack({"a.png": make_png(1) + bytes(900_000)}))
    start = data.index(b"PK\x01\x02")
    entry = bytes(data[start : data.index(b"PK\x05\x06")])
    entries = b"".join(entry.replace(b"a.png", b"%d.png" % number) for number in range(9))
    end = b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 9, 9, len(entries), start, 0)
    done = bring_in(make_empty_set(), bytes(data[:start]) + entries + end)
    assert done.problem_code in {"damaged_zip_entry", "unpacks_to_too_much"}


@pytest.mark.parametrize(
    "name", ["../evil.png", "/etc/evil.png", "..\\evil.png", "folder/a.png", "folder/"]
)
def test_paths_and_folders_are_refused(name: str) -> None:
    info = zipfile.ZipInfo("placeholder")
    info.filename = name
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(info, make_png(1))
    assert name in rejected(buffer.getvalue(), "folder_in_zip")


def test_a_link_is_refused() -> None:
    info = zipfile.ZipInfo("link.png")
    info.create_system = 3
    info.external_attr = 0o120777 << 16
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(info, "/etc/passwd")
    rejected(buffer.getvalue(), "link_in_zip")


def test_an_encrypted_zip_is_refused() -> None:
    data = bytearray(pack(pictures("a.png")))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + offset] |= 1
    assert "password" in rejected(bytes(data), "encrypted_zip")


def test_a_file_too_many_is_refused() -> None:
    files = {f"{number}.png": b"" for number in range(image_upload.MOST_PICTURES + 1)}
    assert "2001" in rejected(pack(files), "too_many_files")


def test_a_listing_without_end_is_refused_before_it_is_read() -> None:
    entries = b"PK\x01\x02" + bytes(42)
    size = image_upload.MOST_BYTES_OF_LISTING // len(entries) * len(entries) + len(entries)
    end = b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 65535, 65535, size, 4, 0)
    rejected(b"PK\x03\x04" + entries * (size // len(entries)) + end, "too_many_files")


def test_a_damaged_zip_is_refused() -> None:
    data = pack(pictures("a.png"))
    rejected(data[: len(data) // 2], "damaged_zip")
    spoilt = bytearray(data)
    spoilt[60] ^= 0xFF
    rejected(bytes(spoilt), "damaged_zip_entry")


def test_an_empty_zip_is_refused() -> None:
    rejected(pack({}), "empty_zip")
    rejected(pack({"credits.csv": b"name\n"}), "empty_zip")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_occurs_twice_is_refused() -> None:
    assert "a" in rejected(pack(pictures("a.png", "a.jpg")), "names_repeat")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number in range(2):
            archive.writestr("a.png", make_png(number))
    rejected(buffer.getvalue(), "names_repeat")


# --- Files in it that are refused ---------------------------------------------------------------
@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("drawing.png", b'<svg xmlns="http://www.w3.org/2000/svg"/>'),
        ("moving.gif", b"GIF89a" + bytes(20)),
        ("notes.txt", b"hello"),
    ],
)
def test_one_file_that_is_no_picture_stops_the_whole_import(name: str, data: bytes) -> None:
    assert name in rejected(pack(pictures("a.png") | {name: data}), "not_png_or_jpeg")


@pytest.mark.parametrize("data", [b"<svg/>", b"GIF89a" + bytes(20), b"", b"Rar!\x1a\x07"])
def test_an_upload_that_is_neither_picture_nor_zip_is_refused(data: bytes) -> None:
    assert "holiday.png" in rejected(data, "not_picture_nor_zip", file_name="holiday.png")


def test_a_damaged_picture_is_named() -> None:
    whole = make_png(1, 300)
    assert "bad.png" in rejected(
        pack(pictures("a.png") | {"bad.png": whole[:200]}), "damaged_picture"
    )


def test_a_huge_picture_is_refused_by_its_header() -> None:
    buffer = io.BytesIO()
    Image.new("1", (10_001, 5_000)).save(buffer, "PNG")
    assert "50 megapixels" in rejected(pack({"huge.png": buffer.getvalue()}), "picture_too_large")


def test_a_moving_png_is_refused() -> None:
    frames = [Image.fromarray(np.full((32, 32, 3), value, np.uint8)) for value in (0, 200)]
    buffer = io.BytesIO()
    frames[0].save(buffer, "PNG", save_all=True, append_images=frames[1:])
    rejected(pack({"moving.png": buffer.getvalue()}), "animated_picture")


def test_the_same_picture_twice_is_refused_even_when_packed_otherwise() -> None:
    buffer = io.BytesIO()
    Image.open(io.BytesIO(make_png(5, 32))).save(buffer, "PNG", compress_level=0)
    files = {"one.png": make_png(5, 32), "two.png": buffer.getvalue()}
    detail = rejected(pack(files), "same_picture")
    assert "one.png" in detail
    assert "two.png" in detail


def test_a_picture_or_name_that_the_set_has_is_refused() -> None:
    reference_set = make_empty_set()
    bring_in(reference_set, pack({"one.png": make_png(5)}))
    taken = bring_in(reference_set, pack({"one.png": make_png(6)}))
    assert "one" in assert_rejected(taken, "names_taken")
    known = bring_in(reference_set, pack({"two.png": make_png(5)}), role=ImageRole.STYLE)
    assert "content image" in assert_rejected(known, "picture_known")
    assert bring_in(reference_set, pack({"one.png": make_png(7)}), role=ImageRole.STYLE)
    assert reference_set.images.count() == 2


@pytest.mark.parametrize(
    ("table", "code"),
    [
        (b"\xff\xfe\x00", "credits_unreadable"),
        (b"name,credit\na.png,\0\n", "credits_unreadable"),
        (b"file,credit\na,Ann\n", "credits_without_name"),
        (b"", "credits_without_name"),
        (b"name,credit\nb.png,Ann\n", "credits_of_nothing"),
        (b"name,licence\na.png," + b"x" * 101 + b"\n", "credits_too_long"),
    ],
)
def test_credits_that_do_not_fit_are_refused(table: bytes, code: str) -> None:
    rejected(pack(pictures("a.png") | {"credits.csv": table}), code)


# --- Sets in use --------------------------------------------------------------------------------
def test_a_set_that_froze_while_the_upload_waited_stays_as_it_is() -> None:
    reference_set = make_empty_set()
    waiting = ask(reference_set, pack(pictures("a.png")))
    freeze_reference_set(reference_set)
    assert_rejected(run(waiting), "reference_set_in_use")
    assert reference_set.images.count() == 0
    assert stored() == set()
