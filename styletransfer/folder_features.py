"""Inception features of a folder's pictures, and files that keep them for the next time."""

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray

from styletransfer.devices import choose_batch
from styletransfer.errors import MetricInputError, TooFewSamples
from styletransfer.folders import Folder
from styletransfer.inception import FidInception
from styletransfer.metrics.frechet import FeatureStatistics
from styletransfer.references import Progress, count_up
from styletransfer.values import Image
from styletransfer.vgg import to_batch

Rows = NDArray[np.float32]


@dataclass(frozen=True)
class Convention:
    """What features depend on besides the pictures; distances need it to be equal on both sides."""

    preparation: str
    inception_sha256: str

    def __str__(self) -> str:
        return f"preparation {self.preparation} and weights {self.inception_sha256[:12]}"


@dataclass(frozen=True)
class FeatureSet:
    """The features of one set of pictures, as far as they are known.

    Attributes:
        source: where they come from, for messages.
        statistics: their mean and covariance.
        rows: the features ``(N, 2048)`` themselves; None if only mean and covariance are known.
        convention: how they were made; None if the file does not say.
    """

    source: Path
    statistics: FeatureStatistics = field(repr=False)
    rows: Rows | None = field(repr=False)
    convention: Convention | None

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file that ``write`` wrote, or one with pytorch-fid's ``mu`` and ``sigma``.

        Raises:
            MetricInputError: it is neither.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                if "rows" not in file:
                    return cls(path, FeatureStatistics.from_npz(path), None, None)
                rows = np.asarray(file["rows"], dtype=np.float32)
                convention = Convention(str(file["preparation"]), str(file["inception_sha256"]))
        except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise MetricInputError(f"{path} is not a file of features: {error}") from error
        return cls(path, FeatureStatistics.from_features(rows), rows, convention)

    def write(self, path: Path) -> None:
        """Write the features, with the ``mu`` and ``sigma`` that pytorch-fid reads as well.

        A file that is there is replaced as a whole or not at all.

        Raises:
            TooFewSamples: fewer than two pictures.
        """
        if self.rows is None or self.convention is None:
            raise MetricInputError(f"{self.source} holds no features, only their statistics")
        draft = path.with_name(f".{path.name}.part")
        with draft.open("wb") as file:
            np.savez(
                file,
                mu=self.statistics.mean,
                sigma=self.statistics.covariance,
                rows=self.rows,
                preparation=self.convention.preparation,
                inception_sha256=self.convention.inception_sha256,
            )
        draft.replace(path)


def measure_folder(
    folder: Folder,
    network: FidInception,
    convention: Convention,
    on_progress: Progress | None = None,
) -> FeatureSet:
    """Take the features of every picture of a folder; only a few pictures are held at a time.

    Raises:
        FolderProblem: a file is not an 8-bit RGB PNG.
        TooFewSamples: it holds a single picture.
    """
    if len(folder.files) < 2:
        raise TooFewSamples(f"{folder.path} holds one picture: a distance of sets needs 2")
    advance = count_up(len(folder.files), on_progress)
    found = []
    for images in _batches(folder, network.device):
        if convention.preparation == "clean":
            found.append(network.clean_features(images))
        else:
            found.append(network(to_batch(images, network.device)))
        for _ in images:
            advance()
    rows = torch.cat(found).cpu().numpy()
    return FeatureSet(folder.path, FeatureStatistics.from_features(rows), rows, convention)


def _batches(folder: Folder, device: torch.device) -> Iterator[list[Image]]:
    """Hand out the pictures in the order of their names, those of one size together."""
    waiting: list[Image] = []
    size = 1
    for image in folder.images():
        if waiting and (len(waiting) == size or image.shape != waiting[0].shape):
            yield waiting
            waiting = []
        if not waiting:
            size = choose_batch(device, image.shape[0] * image.shape[1])
        waiting.append(image)
    yield waiting
