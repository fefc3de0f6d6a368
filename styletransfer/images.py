"""Lossless pictures in and out: 8-bit RGB PNG and nothing else."""

import hashlib
import io
import struct

import numpy as np
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin

from styletransfer.errors import StyleTransferError

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
MAX_SIDE = 8192
MAX_PIXELS = 1 << 25
_TRUECOLOUR = 2

Pixels = NDArray[np.uint8]


class ImageRejected(StyleTransferError, ValueError):
    """A picture that isn't the 8-bit RGB PNG it has to be."""

    def __init__(self, code: str, **facts: object) -> None:
        self.code = code
        self.facts = facts
        details = ", ".join(f"{key}: {value}" for key, value in facts.items())
        super().__init__(f"{code.replace('_', ' ')} ({details})" if details else code)


def read_png_size(data: bytes) -> tuple[int, int]:
    """Return (height, width) from the header, without decoding anything.

    Raises:
        ImageRejected: not a PNG, not 8-bit RGB, or larger than the platform takes.
    """
    if not data.startswith(PNG_SIGNATURE) or data[12:16] != b"IHDR" or len(data) < 33:
        raise ImageRejected("not_a_png")
    width, height, depth, colour = struct.unpack(">IIBB", data[16:26])
    if (depth, colour) != (8, _TRUECOLOUR):
        raise ImageRejected("not_8_bit_rgb", bit_depth=depth, colour_type=colour)
    if not (1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE and width * height <= MAX_PIXELS):
        raise ImageRejected("picture_too_large", height=height, width=width)
    return height, width


def decode_png(data: bytes, *, size: tuple[int, int] | None = None) -> Pixels:
    """Decode an 8-bit RGB PNG into (H, W, 3) pixels.

    Args:
        data: the whole file.
        size: (height, width) the picture must have; any if not given.

    Raises:
        ImageRejected: with a code and facts, never one of Pillow's own errors.
    """
    found = read_png_size(data)
    if size is not None and found != tuple(size):
        raise ImageRejected("wrong_picture_size", expected=list(size), found=list(found))
    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as picture:
            if picture.mode != "RGB":
                raise ImageRejected("not_8_bit_rgb", mode=picture.mode)
            pixels = np.array(picture, dtype=np.uint8)
    except ImageRejected:
        raise
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ImageRejected("damaged_png", reason=str(error)[:200]) from error
    if pixels.shape != (*found, 3):
        raise ImageRejected("damaged_png", reason="size differs from the header")
    return pixels


def encode_png(pixels: Pixels) -> bytes:
    """Encode (H, W, 3) pixels as PNG; decoding gives exactly the same pixels."""
    _require_pixels(pixels)
    buffer = io.BytesIO()
    # An explicit, empty PngInfo: nothing but pixels is written.
    Image.fromarray(np.ascontiguousarray(pixels)).save(
        buffer, format="PNG", pnginfo=PngImagePlugin.PngInfo()
    )
    return buffer.getvalue()


def pixels_sha256(pixels: Pixels) -> str:
    """Hash the size and the pixels, independent of how they were compressed."""
    _require_pixels(pixels)
    height, width, _ = pixels.shape
    digest = hashlib.sha256(f"rgb8:{height}x{width}:".encode())
    digest.update(pixels.tobytes())
    return digest.hexdigest()


def _require_pixels(pixels: Pixels) -> None:
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
        raise ValueError(f"pixels must be uint8 (H, W, 3), not {pixels.dtype} {pixels.shape}")
