"""Pictures in and out: 8-bit RGB PNG, made of whatever people upload; WebP copies to look at."""

import hashlib
import io
import warnings

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps, PngImagePlugin

from styletransfer.picture_files import (
    BANNER_PROPORTION,
    BANNER_WIDTH,
    LEAST_BANNER_WIDTH,
    MAX_SOURCE_PIXELS,
    THUMBNAIL_SIDE,
    ImageRejected,
    is_png_or_jpeg,
    read_picture_size,
    read_png_size,
)

# Pillow's own guard, for whatever opens a picture: a warning would only be a line in a log.
Image.MAX_IMAGE_PIXELS = MAX_SOURCE_PIXELS
warnings.filterwarnings("error", category=Image.DecompressionBombWarning)

_SRGB = ImageCms.createProfile("sRGB")

Pixels = NDArray[np.uint8]


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


def convert_picture(data: bytes, *, side: int) -> Pixels:
    """Make (side, side, 3) sRGB pixels of anybody's PNG or JPEG.

    Turned upright as its EXIF says, brought from its colour profile to sRGB, laid on white where
    it is transparent, cut to its central square and resized with Lanczos. Nothing but pixels stays.

    Raises:
        ImageRejected: with a code and facts, never one of Pillow's own errors.
    """
    return np.array(_fit(open_picture(data), side, side), dtype=np.uint8)


def convert_banner(data: bytes) -> Pixels:
    """Make sRGB pixels of anybody's PNG or JPEG, ``BANNER_PROPORTION`` times as wide as high.

    Turned and brought to sRGB as by ``convert_picture``; cut to its middle, never enlarged.

    Raises:
        ImageRejected: with a code and facts, never one of Pillow's own errors; a picture too small
            is refused by its header.
    """
    height, width = read_picture_size(data)
    # It may lie on its side: then its width is the longer one once it is turned.
    if _banner_width(max(width, height), min(width, height)) < LEAST_BANNER_WIDTH:
        raise _too_small(width, height)
    picture = open_picture(data)
    fitting = _banner_width(*picture.size)
    if fitting < LEAST_BANNER_WIDTH:
        raise _too_small(*picture.size)
    made = min(fitting, BANNER_WIDTH) // BANNER_PROPORTION
    return np.array(_fit(picture, made * BANNER_PROPORTION, made), dtype=np.uint8)


def _banner_width(width: int, height: int) -> int:
    return min(width, BANNER_PROPORTION * height)


def _too_small(width: int, height: int) -> ImageRejected:
    return ImageRejected(
        "banner_too_small",
        width=width,
        height=height,
        proportion=BANNER_PROPORTION,
        least_width=LEAST_BANNER_WIDTH,
        least_height=LEAST_BANNER_WIDTH // BANNER_PROPORTION,
    )


def open_picture(data: bytes) -> Image.Image:
    """Decode anybody's PNG or JPEG as upright sRGB, laid on white where it is transparent.

    Raises:
        ImageRejected: with a code and facts, never one of Pillow's own errors.
    """
    if not is_png_or_jpeg(data):
        raise ImageRejected("not_png_or_jpeg")
    return _open(data, ("PNG", "JPEG"))


def open_own_picture(data: bytes) -> Pixels:
    """Decode somebody's own PNG, JPEG, WebP, TIFF or BMP: (H, W, 3), sRGB, upright, on white.

    Raises:
        ImageRejected: with a code and facts, never one of Pillow's own errors.
    """
    return np.array(_open(data, ("PNG", "JPEG", "WEBP", "TIFF", "BMP")), dtype=np.uint8)


def _open(data: bytes, formats: tuple[str, ...]) -> Image.Image:
    try:
        with Image.open(io.BytesIO(data), formats=formats) as picture:
            _require_decodable(picture)
            return _to_rgb(ImageOps.exif_transpose(picture))
    except (ImageRejected, MemoryError):
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageRejected("picture_too_large", limit=MAX_SOURCE_PIXELS) from error
    except Exception as error:  # damaged files make Pillow raise whatever comes
        raise ImageRejected("damaged_picture", reason=str(error)[:200]) from error


def _require_decodable(picture: Image.Image) -> None:
    """Refuse by the header what must not be decoded."""
    width, height = picture.size
    if width * height > MAX_SOURCE_PIXELS:
        raise ImageRejected(
            "picture_too_large", height=height, width=width, limit=MAX_SOURCE_PIXELS
        )
    # A JPEG with more pictures in it is a camera's: previews, which nobody means.
    if picture.format == "PNG" and getattr(picture, "is_animated", False):
        raise ImageRejected("animated_picture")


def _to_rgb(picture: Image.Image) -> Image.Image:
    """Bring any mode to 8-bit sRGB."""
    profile = picture.info.get("icc_profile")
    alpha = None
    if picture.mode in {"I;16", "I;16B", "I;16L", "I"}:
        wide = np.asarray(picture).astype(np.uint32)
        picture = Image.fromarray(((wide * 255 + 32767) // 65535).astype(np.uint8))
    elif picture.has_transparency_data:
        picture = picture.convert("RGBA")
        alpha = picture.getchannel("A")
        picture = picture.convert("RGB")
    elif picture.mode not in {"RGB", "L", "CMYK"}:
        picture = picture.convert("RGB")
    picture = _to_srgb(picture, profile)
    if alpha is None:
        return picture
    white = Image.new("RGB", picture.size, "white")
    white.paste(picture, mask=alpha)
    return white


def _to_srgb(picture: Image.Image, profile: bytes | None) -> Image.Image:
    if profile:
        try:
            embedded = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            converted = ImageCms.profileToProfile(picture, embedded, _SRGB, outputMode="RGB")
        except (ImageCms.PyCMSError, OSError):
            pass  # damaged, or of another kind of colours: browsers too show such as if it had none
        else:
            assert converted is not None  # noqa: S101 - None only when done in place
            return converted
    return picture.convert("RGB")


def _fit(picture: Image.Image, width: int, height: int) -> Image.Image:
    """Cut out the middle and resize it; what was cut off leaves no trace at the edges."""
    wide = min(picture.width, max(picture.height * width // height, 1))
    high = min(picture.height, max(picture.width * height // width, 1))
    left, top = (picture.width - wide) // 2, (picture.height - high) // 2
    middle = picture.crop((left, top, left + wide, top + high))
    return middle.resize((width, height), Image.Resampling.LANCZOS)


def encode_png(pixels: Pixels) -> bytes:
    """Encode (H, W, 3) pixels as PNG; decoding gives exactly the same pixels."""
    _require_pixels(pixels)
    buffer = io.BytesIO()
    # An explicit, empty PngInfo: nothing but pixels is written.
    Image.fromarray(np.ascontiguousarray(pixels)).save(
        buffer, format="PNG", pnginfo=PngImagePlugin.PngInfo()
    )
    return buffer.getvalue()


def encode_thumbnail(pixels: Pixels) -> bytes:
    """Encode a WebP for lists, its longest side at most ``THUMBNAIL_SIDE``; never scored."""
    _require_pixels(pixels)
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    picture.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE), Image.Resampling.LANCZOS)
    return _encode_webp(picture)


def encode_banner(pixels: Pixels) -> bytes:
    """Encode a WebP that is to be looked at; nothing but pixels is written."""
    _require_pixels(pixels)
    return _encode_webp(Image.fromarray(np.ascontiguousarray(pixels)))


def _encode_webp(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format="WEBP", quality=82, method=4)
    return buffer.getvalue()


def pass_through_jpeg(pixels: Pixels, *, quality: int) -> Pixels:
    """Return what JPEG of a quality from 1 to 95 leaves of a picture."""
    _require_pixels(pixels)
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, format="JPEG", quality=quality)
    with Image.open(buffer, formats=["JPEG"]) as picture:
        return np.array(picture, dtype=np.uint8)


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


def resize_bicubic(pixels: Pixels, *, side: int) -> NDArray[np.float32]:
    """Resize to a square as clean-fid does: bicubic, antialiased, float channels, never rounded.

    Returns:
        ``(side, side, 3)`` in 0..255; what the kernel overshoots is cut off.

    Reference:
        Parmar, Zhang, Zhu. On Aliased Resizing and Surprising Subtleties in GAN Evaluation.
        CVPR 2022.
    """
    _require_pixels(pixels)
    channels = [
        np.asarray(
            Image.fromarray(pixels[:, :, channel].astype(np.float32)).resize(
                (side, side), resample=Image.Resampling.BICUBIC
            )
        )
        for channel in range(3)
    ]
    return np.stack(channels, axis=2).clip(0, 255)
