"""Whatever people upload becomes the same kind of pixels, or is refused in a word."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from styletransfer.images import convert_picture, decode_png, encode_png
from styletransfer.picture_files import MAX_SOURCE_PIXELS, ImageRejected, read_picture_size

RED, GREEN, BLUE = (200, 30, 30), (20, 160, 40), (30, 40, 190)


def save(picture: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format=kind, **options)
    return buffer.getvalue()


def quarters(size: int = 64) -> Image.Image:
    """Red above on the left, green on the right, all blue below."""
    picture = Image.new("RGB", (size, size), BLUE)
    picture.paste(RED, (0, 0, size // 2, size // 2))
    picture.paste(GREEN, (size // 2, 0, size, size // 2))
    return picture


def corner(pixels: np.ndarray, row: int, column: int) -> tuple[int, ...]:
    """The colour in the middle of a quarter of the picture."""
    side = pixels.shape[0]
    return tuple(
        int(value) for value in pixels[(1 + 2 * row) * side // 4, (1 + 2 * column) * side // 4]
    )


def assert_near(found: tuple[int, ...], expected: tuple[int, ...], within: int = 6) -> None:
    assert max(abs(a - b) for a, b in zip(found, expected, strict=True)) <= within, found


def refused(data: bytes) -> str:
    with pytest.raises(ImageRejected) as caught:
        convert_picture(data, side=32)
    return caught.value.code


def test_pixels_of_the_right_size_come_through_unchanged() -> None:
    pixels = np.random.default_rng(7).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    assert np.array_equal(convert_picture(encode_png(pixels), side=32), pixels)


def test_a_wide_picture_keeps_its_middle() -> None:
    wide = Image.new("RGB", (300, 100), RED)
    wide.paste(GREEN, (100, 0, 200, 100))
    pixels = convert_picture(save(wide), side=50)
    assert pixels.shape == (50, 50, 3)
    assert (pixels == GREEN).all()


@pytest.mark.parametrize(
    ("orientation", "undo"),
    [
        (3, Image.Transpose.ROTATE_180),
        (6, Image.Transpose.ROTATE_90),
        (8, Image.Transpose.ROTATE_270),
        (2, Image.Transpose.FLIP_LEFT_RIGHT),
    ],
)
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_photograph_is_turned_upright(orientation: int, undo: Image.Transpose, kind: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010E] = "taken at home"
    pixels = convert_picture(save(quarters().transpose(undo), kind, exif=exif), side=64)
    assert_near(corner(pixels, 0, 0), RED)
    assert_near(corner(pixels, 0, 1), GREEN)
    assert_near(corner(pixels, 1, 0), BLUE)
    assert b"at home" not in encode_png(pixels)


def test_a_cmyk_jpeg_becomes_rgb() -> None:
    pixels = convert_picture(save(quarters().convert("CMYK"), "JPEG", quality=95), side=64)
    assert_near(corner(pixels, 0, 0), RED)
    assert_near(corner(pixels, 1, 1), BLUE)


def wide_gamut_profile() -> bytes:
    """A matrix profile with Adobe RGB's primaries and gamma 2.2, written by hand."""

    def s15(value: float) -> bytes:
        return struct.pack(">i", round(value * 65536))

    def xyz(x: float, y: float, z: float) -> bytes:
        return b"XYZ " + bytes(4) + s15(x) + s15(y) + s15(z)

    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(2.2 * 256)) + bytes(2)
    text = b"text" + bytes(4) + b"none\x00"
    tags = {
        b"desc": b"desc" + bytes(4) + struct.pack(">I", 5) + b"wide\x00" + bytes(78),
        b"cprt": text + bytes(-len(text) % 4),
        b"wtpt": xyz(0.9642, 1.0, 0.8249),
        b"rXYZ": xyz(0.60974, 0.31111, 0.01947),
        b"gXYZ": xyz(0.20528, 0.62567, 0.06087),
        b"bXYZ": xyz(0.14919, 0.06322, 0.74457),
        b"rTRC": curve,
        b"gTRC": curve,
        b"bTRC": curve,
    }
    offset = 128 + 4 + 12 * len(tags)
    table, body = b"", b""
    for name, data in tags.items():
        data += bytes(-len(data) % 4)
        table += name + struct.pack(">II", offset + len(body), len(data))
        body += data
    header = struct.pack(">I4sI", offset + len(body), bytes(4), 0x02100000)
    header += b"mntrRGB XYZ " + bytes(12) + b"acsp" + bytes(28) + xyz(0.9642, 1.0, 0.8249)[8:]
    header += bytes(128 - len(header))
    return header + struct.pack(">I", len(tags)) + table + body


def test_a_wide_gamut_profile_is_brought_to_srgb() -> None:
    picture = Image.new("RGB", (64, 64), (120, 180, 90))
    plain = convert_picture(save(picture), side=32)[16, 16]
    vivid = convert_picture(save(picture, icc_profile=wide_gamut_profile()), side=32)[16, 16]
    # Adobe RGB's green is greener than sRGB's: less red for the same green.
    assert int(vivid[0]) < int(plain[0]) - 15
    assert abs(int(vivid[1]) - int(plain[1])) <= 4


def test_a_profile_of_srgb_changes_nothing_visible() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    pixels = convert_picture(save(quarters(), icc_profile=profile), side=64)
    assert_near(corner(pixels, 0, 1), GREEN, within=1)


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_damaged_profile_is_passed_over(kind: str) -> None:
    pixels = convert_picture(save(quarters(), kind, icc_profile=b"not a profile"), side=64)
    assert_near(corner(pixels, 0, 0), RED)


def test_transparency_is_laid_on_white() -> None:
    picture = quarters().convert("RGBA")
    picture.putalpha(Image.new("L", picture.size, 0))
    assert (convert_picture(save(picture), side=32) == 255).all()


def test_a_palette_with_a_transparent_colour_is_laid_on_white() -> None:
    picture = Image.new("P", (32, 32), 0)
    picture.putpalette([10, 20, 30, 200, 0, 0])
    picture.paste(1, (0, 0, 16, 32))
    pixels = convert_picture(save(picture, transparency=0), side=32)
    assert tuple(pixels[8, 8]) == (200, 0, 0)
    assert tuple(pixels[8, 24]) == (255, 255, 255)


def test_a_16_bit_grey_png_keeps_its_brightness() -> None:
    values = np.full((32, 32), 0x8080, np.uint16)
    data = save(Image.fromarray(values))
    assert data[24] == 16
    assert tuple(convert_picture(data, side=32)[5, 5]) == (128, 128, 128)


def test_a_16_bit_colour_png_keeps_its_colours() -> None:
    row = b"\0" + struct.pack(">HHH", 0xFFFF, 0x8080, 0x0000) * 4
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", 4, 4, 16, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(row * 4)),
        (b"IEND", b""),
    ]
    data = b"\x89PNG\r\n\x1a\n"
    for kind, body in chunks:
        data += struct.pack(">I", len(body)) + kind + body
        data += struct.pack(">I", zlib.crc32(kind + body))
    assert tuple(convert_picture(data, side=4)[1, 1]) == (255, 128, 0)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P"])
def test_grey_and_palette_pictures_become_rgb(mode: str) -> None:
    pixels = convert_picture(save(Image.new("L", (40, 40), 255).convert(mode)), side=32)
    assert pixels.shape == (32, 32, 3)
    assert (pixels == 255).all()


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_file_that_breaks_off_is_refused(kind: str) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    whole = save(Image.fromarray(noise), kind)
    for part in (len(whole) // 2, 30):
        assert refused(whole[:part]) == "damaged_picture"


def test_a_decompression_bomb_is_refused_by_its_header() -> None:
    side = 30_000
    body = b"IHDR" + struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + body
    data += struct.pack(">I", zlib.crc32(body)) + struct.pack(">I", 1000) + b"IDAT"
    assert refused(data) == "picture_too_large"
    large = save(Image.new("1", (MAX_SOURCE_PIXELS // 5_000 + 1, 5_000)))
    assert len(large) < 100_000
    assert refused(large) == "picture_too_large"
    assert read_picture_size(large) == (5_000, MAX_SOURCE_PIXELS // 5_000 + 1)


def test_a_moving_picture_is_refused() -> None:
    frames = [Image.new("RGB", (32, 32), colour) for colour in (RED, GREEN)]
    assert refused(save(frames[0], save_all=True, append_images=frames[1:])) == "animated_picture"


def test_the_first_of_a_cameras_several_pictures_is_taken() -> None:
    frames = [Image.new("RGB", (32, 32), colour) for colour in (RED, GREEN)]
    data = save(frames[0], "MPO", save_all=True, append_images=frames[1:])
    assert_near(tuple(int(value) for value in convert_picture(data, side=32)[16, 16]), RED)


@pytest.mark.parametrize(
    "data",
    [
        b'<svg xmlns="http://www.w3.org/2000/svg"/>',
        save(Image.new("P", (8, 8)), "GIF"),
        save(Image.new("RGB", (8, 8)), "WEBP"),
        save(Image.new("RGB", (8, 8)), "TIFF"),
        b"",
    ],
    ids=["SVG", "GIF", "WebP", "TIFF", "nothing"],
)
def test_anything_else_is_refused_whatever_it_is_called(data: bytes) -> None:
    assert refused(data) == "not_png_or_jpeg"


def test_what_comes_out_is_what_is_scored_against() -> None:
    pixels = convert_picture(save(quarters(100), "JPEG"), side=48)
    assert np.array_equal(decode_png(encode_png(pixels), size=(48, 48)), pixels)
