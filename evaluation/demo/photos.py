"""Free photographs that arrive inside the scikit-image and scikit-learn wheels.

Nothing is downloaded. Pictures of those wheels without a clear licence (the Middlebury motorcycle,
the moon) are left out. The 24 contents never share a pixel with each other. Training crops do come
partly from the same photographs, at other places and scales; `HELD_OUT` photographs never train.
"""

from dataclasses import dataclass
from importlib.resources import files
from typing import Literal

import numpy as np
from PIL import Image

from evaluation.demo.image import SIDE, DemoImage, Pixels

CC0 = "CC0 1.0"
PUBLIC_DOMAIN = "Public domain"
CC_BY = "CC BY 2.0"


@dataclass(frozen=True)
class Photograph:
    """One file of a wheel, and whose it is."""

    package: Literal["skimage", "sklearn"]
    path: str
    credit: str
    licence: str
    source: str


PHOTOGRAPHS: dict[str, Photograph] = {
    "astronaut": Photograph(
        "skimage", "data/astronaut.png", "NASA", PUBLIC_DOMAIN, "https://flic.kr/p/r9qvLn"
    ),
    "coffee": Photograph(
        "skimage",
        "data/coffee.png",
        "Rachel Michetti, courtesy of Pikolo Espresso Bar",
        CC0,
        "https://scikit-image.org/docs/stable/api/skimage.data.html#skimage.data.coffee",
    ),
    "chelsea": Photograph(
        "skimage",
        "data/chelsea.png",
        "Stefan van der Walt",
        CC0,
        "https://scikit-image.org/docs/stable/api/skimage.data.html#skimage.data.chelsea",
    ),
    "rocket": Photograph(
        "skimage",
        "data/rocket.jpg",
        "SpaceX",
        PUBLIC_DOMAIN,
        "https://www.flickr.com/photos/spacexphotos/16511594820/",
    ),
    "hubble": Photograph(
        "skimage",
        "data/hubble_deep_field.jpg",
        "NASA",
        PUBLIC_DOMAIN,
        "https://hubblesite.org/newscenter/archive/releases/2012/37/image/a/",
    ),
    "retina": Photograph(
        "skimage",
        "data/retina.jpg",
        "Mikael Häggström",
        CC0,
        "https://commons.wikimedia.org/wiki/File:Fundus_photograph_of_normal_left_eye.jpg",
    ),
    "camera": Photograph(
        "skimage",
        "data/camera.png",
        "Lav Varshney",
        CC0,
        "https://scikit-image.org/docs/stable/api/skimage.data.html#skimage.data.camera",
    ),
    "brick": Photograph(
        "skimage",
        "data/brick.png",
        "CC0Textures",
        CC0,
        "https://cc0textures.com/view.php?tex=Bricks25",
    ),
    "grass": Photograph(
        "skimage",
        "data/grass.png",
        "linolafett",
        CC0,
        "https://www.deviantart.com/linolafett/art/Grass-01-434853879",
    ),
    "gravel": Photograph(
        "skimage",
        "data/gravel.png",
        "CC0Textures",
        CC0,
        "https://cc0textures.com/view.php?tex=Gravel04",
    ),
    "coins": Photograph(
        "skimage",
        "data/coins.png",
        "Brooklyn Museum",
        "No known copyright restrictions",
        "https://www.brooklynmuseum.org/opencollection/archives/image/51611",
    ),
    "tissue": Photograph(
        "skimage",
        "data/ihc.png",
        "Center for Microscopy And Molecular Imaging (CMMI)",
        "No known copyright restrictions",
        "https://scikit-image.org/docs/stable/api/skimage.data.html"
        "#skimage.data.immunohistochemistry",
    ),
    "china": Photograph(
        "sklearn",
        "datasets/images/china.jpg",
        "danielbuechele",
        CC_BY,
        "https://www.flickr.com/photos/danielbuechele/6061409035/",
    ),
    "flower": Photograph(
        "sklearn",
        "datasets/images/flower.jpg",
        "vultilion",
        CC_BY,
        "https://www.flickr.com/photos/vultilion/6056698931/",
    ),
}

# Whole photographs that no training crop is taken from: a discriminator is judged on them.
HELD_OUT = ("chelsea", "china", "camera", "coins", "grass")

# (photograph, what is seen, left, top, side of the square): scaled to 256 x 256.
CONTENT_CROPS: tuple[tuple[str, str, int, int, int], ...] = (
    ("astronaut", "portrait", 92, 0, 256),
    ("astronaut", "suit", 0, 256, 256),
    ("astronaut", "helmet", 256, 256, 256),
    ("astronaut", "shuttle", 348, 14, 164),
    ("coffee", "cup", 140, 0, 380),
    ("chelsea", "cat", 100, 0, 300),
    ("rocket", "left-tower", 0, 110, 213),
    ("rocket", "launch-pad", 213, 190, 236),
    ("rocket", "right-tower", 449, 190, 191),
    ("hubble", "galaxies-1", 0, 0, 430),
    ("hubble", "galaxies-2", 560, 0, 430),
    ("hubble", "galaxies-3", 540, 440, 430),
    ("retina", "eye", 0, 0, 1411),
    ("camera", "photographer", 20, 40, 330),
    ("brick", "wall", 0, 0, 512),
    ("grass", "meadow", 0, 0, 400),
    ("gravel", "stones", 0, 0, 400),
    ("coins", "pompeii", 40, 0, 300),
    ("tissue", "glands-1", 0, 0, 256),
    ("tissue", "glands-2", 256, 0, 256),
    ("tissue", "glands-3", 200, 256, 256),
    ("china", "pagoda", 80, 0, 330),
    ("china", "lake", 412, 90, 228),
    ("flower", "dahlia", 160, 0, 310),
)


def load_photograph(name: str) -> Image.Image:
    """Open a photograph of `PHOTOGRAPHS` as RGB."""
    photograph = PHOTOGRAPHS[name]
    with (files(photograph.package) / photograph.path).open("rb") as file:
        return Image.open(file).convert("RGB")


def content_images() -> list[DemoImage]:
    """Return the 24 contents of the demo competition: no two of them overlap."""
    return [_content_image(*crop) for crop in CONTENT_CROPS]


def training_photos(count: int, side: int = SIDE, seed: int = 2) -> list[Pixels]:
    """Return `count` random windows of photographs that are not held out, half of them mirrored.

    A window is `side` pixels of a crop that was scaled to 256, so that small windows show texture
    at the scale of the contents.
    """
    names = [name for name in PHOTOGRAPHS if name not in HELD_OUT]
    return _random_windows(names, count, side, seed)


def held_out_photos(count: int = 60, side: int = SIDE, seed: int = 3) -> list[Pixels]:
    """Return `count` random windows of the photographs that training never sees."""
    return _random_windows(list(HELD_OUT), count, side, seed)


def _content_image(photograph: str, subject: str, left: int, top: int, side: int) -> DemoImage:
    origin = PHOTOGRAPHS[photograph]
    return DemoImage(
        name=f"{photograph}-{subject}",
        pixels=_crop(load_photograph(photograph), left, top, side, SIDE),
        credit=origin.credit,
        licence=origin.licence,
        source=origin.source,
    )


def _crop(image: Image.Image, left: int, top: int, size: int, side: int) -> Pixels:
    box = (left, top, left + size, top + size)
    return np.asarray(image.resize((side, side), Image.Resampling.LANCZOS, box=box))


def _random_windows(names: list[str], count: int, side: int, seed: int) -> list[Pixels]:
    rng = np.random.Generator(np.random.PCG64(seed))
    images = {name: load_photograph(name) for name in names}
    windows = []
    for index in range(count):
        image = images[names[index % len(names)]]
        short = min(image.size)
        size = int(rng.integers(min(short, 200), short + 1))
        left = int(rng.integers(0, image.width - size + 1))
        top = int(rng.integers(0, image.height - size + 1))
        windows.append(cut_window(_crop(image, left, top, size, SIDE), side, rng))
    return windows


def cut_window(pixels: Pixels, side: int, rng: np.random.Generator) -> Pixels:
    """Cut a random square of `side` pixels, mirrored half of the time."""
    top, left = rng.integers(0, np.array(pixels.shape[:2]) - side + 1).tolist()
    window = pixels[top : top + side, left : left + side]
    return np.ascontiguousarray(window[:, ::-1] if rng.random() < 0.5 else window)
