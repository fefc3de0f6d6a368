import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from styletransfer.images import decode_png, encode_png, encode_thumbnail, pixels_sha256
from styletransfer.picture_files import ImageRejected, read_png_size

PIXELS = np.random.default_rng(5).integers(0, 256, (11, 7, 3), dtype=np.uint8)


def save(picture: Image.Image, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format=kind)
    return buffer.getvalue()


def header(width: int, height: int, depth: int = 8, colour: int = 2) -> bytes:
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    chunk = struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))
    return b"\x89PNG\r\n\x1a\n" + chunk


def test_decoding_gives_back_exactly_the_encoded_pixels() -> None:
    data = encode_png(PIXELS)
    assert read_png_size(data) == (11, 7)
    assert np.array_equal(decode_png(data, size=(11, 7)), PIXELS)


def test_encoding_a_view_that_is_not_contiguous_keeps_its_order() -> None:
    flipped = PIXELS[::-1, :, ::-1]
    assert np.array_equal(decode_png(encode_png(flipped)), flipped)


def test_the_hash_is_of_the_pixels_and_their_size() -> None:
    assert pixels_sha256(PIXELS) == pixels_sha256(decode_png(encode_png(PIXELS)))
    assert pixels_sha256(PIXELS) != pixels_sha256(PIXELS.reshape(7, 11, 3))
    changed = PIXELS.copy()
    changed[3, 3, 1] ^= 1
    assert pixels_sha256(PIXELS) != pixels_sha256(changed)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "not_a_png"),
        (b"\x89PNG\r\n\x1a\n", "not_a_png"),
        (save(Image.fromarray(PIXELS), "JPEG"), "not_a_png"),
        (save(Image.fromarray(PIXELS).convert("L")), "not_8_bit_rgb"),
        (save(Image.fromarray(PIXELS).convert("RGBA")), "not_8_bit_rgb"),
        (save(Image.fromarray(PIXELS).convert("P")), "not_8_bit_rgb"),
        (save(Image.fromarray(PIXELS[:, :, 0].astype(np.uint16))), "not_8_bit_rgb"),
        (header(8, 8, depth=16), "not_8_bit_rgb"),
        (header(30_000, 30_000), "picture_too_large"),
        (header(0, 8), "picture_too_large"),
        (header(8, 8), "damaged_png"),
        (encode_png(PIXELS)[:-30], "damaged_png"),
        (encode_png(PIXELS)[:60] + b"garbage" * 20, "damaged_png"),
    ],
)
def test_anything_but_a_whole_8_bit_rgb_png_is_refused(data: bytes, code: str) -> None:
    with pytest.raises(ImageRejected) as caught:
        decode_png(data)
    assert caught.value.code == code


def test_a_picture_of_another_size_is_refused_naming_both() -> None:
    with pytest.raises(ImageRejected) as caught:
        decode_png(encode_png(PIXELS), size=(7, 11))
    assert caught.value.facts == {"expected": [7, 11], "found": [11, 7]}


def test_only_8_bit_rgb_pixels_are_encoded() -> None:
    with pytest.raises(ValueError, match="uint8"):
        encode_png(PIXELS.astype(np.float32))
    with pytest.raises(ValueError, match="uint8"):
        encode_png(PIXELS[:, :, 0])


@pytest.mark.parametrize(
    ("size", "expected"),
    [((600, 400), (320, 213)), ((256, 256), (256, 256)), ((1, 1000), (1, 320))],
)
def test_a_thumbnail_is_a_webp_of_at_most_320_pixels(
    size: tuple[int, int], expected: tuple[int, int]
) -> None:
    width, height = size
    pixels = np.full((height, width, 3), (200, 40, 90), np.uint8)
    with Image.open(io.BytesIO(encode_thumbnail(pixels))) as picture:
        assert (picture.format, picture.size) == ("WEBP", expected)
        shown = np.asarray(picture.convert("RGB"), np.int16)
    assert np.abs(shown - (200, 40, 90)).max() <= 6
