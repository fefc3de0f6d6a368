"""A phase's images as pixels, checked against the hash that froze them."""

from functools import lru_cache

from competitions.models import Pair, ReferenceSet
from evaluation.reference_images import ReferencesChanged, assemble, require_frozen
from styletransfer.images import decode_png, pixels_sha256
from styletransfer.values import Image, ReferenceImages


@lru_cache(maxsize=2)
def load_references(reference_set_id: int, sha256: str) -> ReferenceImages:
    """Read and check a frozen set; the last ones stay in memory, a frozen set can't change.

    Raises:
        ReferencesChanged: a pixel differs from what was frozen.
    """
    found = read_references(ReferenceSet.objects.get(pk=reference_set_id))
    return require_frozen(found, sha256)


def load_first_pair(reference_set_id: int) -> ReferenceImages:
    """Read the content and style of the first pair alone, as a set of one pair without a name.

    Raises:
        ReferencesChanged: a pixel differs from what was stored.
    """
    pairs = Pair.objects.filter(reference_set=reference_set_id).order_by("position")
    pair = pairs.select_related("content", "style")[:1].get()
    images = []
    for row in (pair.content, pair.style):
        with row.file.open("rb") as file:
            images.append(decode_png(file.read()))
        if pixels_sha256(images[-1]) != row.pixels_sha256:
            raise ReferencesChanged(f"image {row.pk} does not match its hash")
    return ReferenceImages([images[0]], [images[1]], [(0, 0)], reals=[], sha256="")


def read_references(reference_set: ReferenceSet) -> ReferenceImages:
    """Read a set as it is now, frozen or not; it is named by the pixels that were found."""
    side = reference_set.image_size
    images: list[tuple[str, int, Image]] = []
    for row in reference_set.images.order_by("role", "position"):
        with row.file.open("rb") as file:
            images.append((row.role, row.pk, decode_png(file.read(), size=(side, side))))
    pairs = reference_set.pairs.order_by("position").values_list("content_id", "style_id")
    return assemble(images, pairs, image_size=side)
