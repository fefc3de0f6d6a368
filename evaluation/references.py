"""A phase's images as pixels, checked against the hash that froze them."""

from functools import lru_cache

from competitions.models import ImageRole, Pair, ReferenceSet
from styletransfer.images import decode_png, pixels_sha256
from styletransfer.values import Image, ReferenceImages, hash_references


class ReferencesChanged(Exception):
    """Stored images are not the ones that were frozen: scores would mean something else."""


@lru_cache(maxsize=2)
def load_references(reference_set_id: int, sha256: str) -> ReferenceImages:
    """Read and check a frozen set; the last ones stay in memory, a frozen set can't change.

    Raises:
        ReferencesChanged: a pixel differs from what was frozen.
    """
    references = read_references(ReferenceSet.objects.get(pk=reference_set_id))
    if references.sha256 != sha256:
        raise ReferencesChanged(f"reference set {reference_set_id} does not match its hash")
    return references


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
    images: dict[str, list[Image]] = {role: [] for role in ImageRole.values}
    keys: dict[str, list[int]] = {role: [] for role in ImageRole.values}
    size = (reference_set.image_size, reference_set.image_size)
    for row in reference_set.images.order_by("role", "position"):
        with row.file.open("rb") as file:
            images[row.role].append(decode_png(file.read(), size=size))
        keys[row.role].append(row.pk)
    pairs = [
        (keys["content"].index(pair.content_id), keys["style"].index(pair.style_id))
        for pair in reference_set.pairs.order_by("position")
    ]
    return ReferenceImages(
        contents=images["content"],
        styles=images["style"],
        pairs=pairs,
        reals=images["real"],
        sha256=hash_references(
            image_size=reference_set.image_size,
            pixel_hashes={
                role: [pixels_sha256(one) for one in some] for role, some in images.items()
            },
            pairs=pairs,
        ),
    )
