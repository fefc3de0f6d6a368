"""What all sections share: how much to measure, a scratch folder, pictures, peers' weights."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from scripts.bench import peers, pictures
from scripts.bench.rows import Bar


@dataclass(frozen=True)
class Setting:
    """How one run of the benchmark measures."""

    folder: Path
    is_quick: bool = False
    port: int = 8000
    checkpoints: tuple[Path, ...] = ()
    """Further files for the pre-flight."""

    @property
    def rounds(self) -> int:
        """How often variants are measured in turn."""
        return self.choose(5, quick=2)

    def choose(self, full: int, *, quick: int) -> int:
        """Return a size that suits."""
        return quick if self.is_quick else full

    def full_only(self, bar: Bar) -> Bar | None:
        """Return a bar that means something for the full sizes only."""
        return None if self.is_quick else bar

    @cached_property
    def weights(self) -> Path:
        """The folder from which every peer loads the same Inception weights."""
        return peers.write_weights(self.folder / "weights")

    def pictures(self, name: str, count: int, *, seed: int, side: int = 256) -> Path:
        """Return a folder of PNG files, made once."""
        folder = self.folder / f"{name}-{count}-{side}"
        if not folder.exists():
            pictures.write(folder, count, seed=seed, side=side)
        return folder
