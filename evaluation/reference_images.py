"""A reference set as pixels, whichever way its files came; free of Django."""

from collections.abc import Iterable, Mapping, Sequence

from styletransfer.images import pixels_sha256
from styletransfer.values import Image, ReferenceImages, hash_references

ROLES = ("content", "style", "real")


class ReferencesChanged(Exception):
    """The images are not the ones that were frozen: scores would mean something else."""


def assemble(
    images: Iterable[tuple[str, int, Image]],
    pairs: Iterable[Sequence[int]],
    *,
    image_size: int,
) -> ReferenceImages:
    """Put a set together; it is named by the pixels that were found.

    Args:
        images: (role, number, pixels) of each, in their order.
        pairs: (number of the content image, number of the style image), in their order.
        image_size: height and width of every image.
    """
    pixels: Mapping[str, list[Image]] = {role: [] for role in ROLES}
    numbers: Mapping[str, list[int]] = {role: [] for role in ROLES}
    for role, number, image in images:
        pixels[role].append(image)
        numbers[role].append(number)
    chosen = [
        (numbers["content"].index(content), numbers["style"].index(style))
        for content, style in pairs
    ]
    return ReferenceImages(
        contents=pixels["content"],
        styles=pixels["style"],
        pairs=chosen,
        reals=pixels["real"],
        sha256=hash_references(
            image_size=image_size,
            pixel_hashes={
                role: [pixels_sha256(each) for each in some] for role, some in pixels.items()
            },
            pairs=chosen,
        ),
    )


def require_frozen(references: ReferenceImages, sha256: str) -> ReferenceImages:
    """Return a set that has the hash it was frozen with.

    Raises:
        ReferencesChanged: a pixel differs.
    """
    if references.sha256 != sha256:
        raise ReferencesChanged(f"the reference set does not match its hash {sha256}")
    return references
