"""What a picture's first bytes tell of it, for the web server too, which never decodes one."""

import io
import struct

from styletransfer.errors import StyleTransferError

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
JPEG_SIGNATURE = b"\xff\xd8\xff"
MAX_SIDE = 8192
MAX_PIXELS = 1 << 25
MAX_SOURCE_PIXELS = 50_000_000
THUMBNAIL_SIDE = 320
BANNER_PROPORTION = 4  # so many times as wide as high
BANNER_WIDTH = 1600
LEAST_BANNER_WIDTH = 800
_TRUECOLOUR = 2


class ImageRejected(StyleTransferError, ValueError):
    """A picture that isn't the 8-bit RGB PNG it has to be."""

    def __init__(self, code: str, **facts: object) -> None:
        self.code = code
        self.facts = facts
        details = ", ".join(f"{key}: {value}" for key, value in facts.items())
        words = code.replace("_", " ")
        super().__init__(f"{words} ({details})" if details else words)


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


def is_png_or_jpeg(head: bytes) -> bool:
    """Tell by a file's first bytes; what it is called says nothing."""
    return head.startswith((PNG_SIGNATURE, JPEG_SIGNATURE))


def read_picture_size(data: bytes) -> tuple[int, int]:
    """Return (height, width) of anybody's PNG or JPEG from its header, before it is turned.

    Raises:
        ImageRejected: not such a file, or one whose header can't be read.
    """
    if not is_png_or_jpeg(data):
        raise ImageRejected("not_png_or_jpeg")
    from PIL import Image  # only who has a picture in hand needs it

    try:
        with Image.open(io.BytesIO(data), formats=["PNG", "JPEG"]) as picture:
            return picture.height, picture.width
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageRejected("picture_too_large", limit=MAX_SOURCE_PIXELS) from error
    except Exception as error:  # damaged files make Pillow raise whatever comes
        raise ImageRejected("damaged_picture", reason=str(error)[:200]) from error
