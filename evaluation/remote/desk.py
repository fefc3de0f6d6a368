"""The desk of a worker on another machine: everything goes over HTTPS; free of Django."""

import hashlib
import json
import logging
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO, Any

from evaluation.assignment import Assignment, Checked, Notes, Picture
from evaluation.checkpoint_copies import hash_file, require_unchanged
from evaluation.lease import PlatformAway
from evaluation.reference_images import assemble, require_frozen
from evaluation.remote.file_cache import FileCache
from evaluation.remote.platform_client import Platform, Refused
from styletransfer.images import decode_png, pixels_sha256
from styletransfer.picture_files import ImageRejected
from styletransfer.score_card import ScoreCard
from styletransfer.values import Image, ReferenceImages

log = logging.getLogger(__name__)
BLOCK_BYTES = 1 << 20
_SETS_KEPT = 2
_sets: dict[str, ReferenceImages] = {}
"""The reference sets that were used last; a frozen set can't change."""


class RemoteDesk:
    """Serves one attempt from the platform."""

    def __init__(
        self, platform: Platform, cache: FileCache, claimed: Mapping[str, Any], temporary: Path
    ) -> None:
        self.assignment = Assignment.from_json(claimed["assignment"])
        self.lease_s = float(claimed["lease_s"])
        self.heartbeat_s = float(claimed["heartbeat_s"])
        self._platform, self._cache, self._temporary = platform, cache, temporary
        self._run = f"runs/{self.assignment.run}"

    def __repr__(self) -> str:
        return f"run {self.assignment.run} of submission {self.assignment.submission}"

    def renew(self, progress: Mapping[str, Any]) -> bool:
        try:
            self._platform.ask("POST", f"{self._run}/renew/", progress, patient=False)
        except Refused as error:
            log.info("%r is not ours any more: %s", self, error)
            return False
        return True

    def let_go(self) -> None:
        """Nothing is the renewing thread's own."""

    @contextmanager
    def open_checkpoint(self) -> Iterator[Path]:
        with NamedTemporaryFile(dir=self._temporary) as copy:
            path = Path(copy.name)
            self._platform.download(partial(self._find_file, "checkpoint"), path)
            require_unchanged("fetched", hash_file(path), self.assignment.checkpoint.sha256)
            yield path

    def load_discriminator(self) -> bytes | None:
        sha256 = self.assignment.recipe.discriminator_sha256
        if sha256 is None:
            return None
        return self._cache.get(
            sha256,
            partial(self._platform.download, partial(self._find_file, "discriminator")),
            lambda data: hashlib.sha256(data).hexdigest() == sha256,
        )

    def load_references(self) -> ReferenceImages:
        wanted = self.assignment.references
        if self.assignment.stage == "check":
            return self._fetch_references(first_pair_only=True)
        if wanted.sha256 not in _sets:
            found = require_frozen(self._fetch_references(), wanted.sha256)
            while len(_sets) >= _SETS_KEPT:
                _sets.pop(next(iter(_sets)))
            _sets[wanted.sha256] = found
            self._cache.prune()
        return _sets[wanted.sha256]

    def _fetch_references(self, *, first_pair_only: bool = False) -> ReferenceImages:
        side = self.assignment.references.image_size
        listed = self._list_references()
        pairs = listed["pairs"][:1] if first_pair_only else listed["pairs"]
        needed = {number for pair in pairs for number in pair} if first_pair_only else None
        images: list[tuple[str, int, Image]] = []
        for position, each in enumerate(listed["images"]):
            if needed is not None and each["id"] not in needed:
                continue
            data = self._cache.get(
                each["pixels_sha256"],
                partial(self._platform.download, partial(self._find_image, listed, position)),
                partial(_has_pixels, each["pixels_sha256"], side),
            )
            images.append((each["role"], each["id"], decode_png(data, size=(side, side))))
        return assemble(images, pairs, image_size=side)

    def _list_references(self) -> dict[str, Any]:
        listed: dict[str, Any] = self._platform.ask("GET", f"{self._run}/references/")
        return listed

    def _find_image(self, listed: dict[str, Any], position: int) -> str:
        """Return an image's address; asked a second time, the first one has expired."""
        each = listed["images"][position]
        if each.pop("is_used", False):
            listed["images"] = self._list_references()["images"]
            each = listed["images"][position]
        each["is_used"] = True
        return str(each["url"])

    def _find_file(self, name: str) -> str:
        return str(self._platform.ask("GET", f"{self._run}/files/")[name])

    def report_check(self, notes: Notes, found: Checked) -> bool:
        first = found.first
        proposal = None if found.proposal is None else found.proposal.to_json()
        told: dict[str, Any] = {"notes": asdict(notes), "hints": first.hints, "proposal": proposal}
        told["measured"] = first.measured
        pictures = {"content.png": first.content, "picture.png": first.picture}
        if first.style:
            pictures["style.png"] = first.style
        return self._send("check", told, pictures)

    def report_scores(self, notes: Notes, card: ScoreCard, pictures: Sequence[Picture]) -> bool:
        files: dict[str, bytes] = {}
        for number, picture in enumerate(pictures, start=self.assignment.first):
            files |= {f"{number}.png": picture.png, f"{number}.webp": picture.webp}
        return self._send("scores", {"notes": asdict(notes), "card": card.to_json()}, files)

    def report_shard(self, notes: Notes, result: bytes, pictures: Sequence[Picture]) -> bool:
        """Refuse: the platform hands parts of runs to workers inside only."""
        raise NotImplementedError

    def load_results(self) -> Sequence[bytes]:
        """Refuse, as above."""
        raise NotImplementedError

    def report_refusal(self, notes: Notes, *, code: str, facts: Mapping[str, Any]) -> bool:
        return self._tell("refusal", {"notes": asdict(notes), "code": code, "facts": dict(facts)})

    def report_fault(self, notes: Notes, *, reason: str) -> bool:
        return self._tell("fault", {"notes": asdict(notes), "reason": reason})

    def report_stopped(self, notes: Notes) -> None:
        self._tell("stopped", {"notes": asdict(notes)})

    def hand_back(self, notes: Notes) -> None:
        self._tell("hand-back", {"notes": asdict(notes)})

    def _send(self, what: str, told: Mapping[str, Any], pictures: Mapping[str, bytes]) -> bool:
        """Send a report with pictures, in one archive that is written to disk first."""
        with NamedTemporaryFile(dir=self._temporary) as file:
            with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
                archive.writestr("report.json", json.dumps(told, allow_nan=False))
                for name, data in pictures.items():
                    archive.writestr(name, data)
            file.flush()
            return self._counts(
                what, file=partial(_blocks_of, file), length=Path(file.name).stat().st_size
            )

    def _tell(self, what: str, told: Mapping[str, Any]) -> bool:
        return self._counts(what, body=told)

    def _counts(self, what: str, **sent: Any) -> bool:
        """Hand something in; what is refused because the attempt is over does not count."""
        try:
            self._platform.ask("POST", f"{self._run}/{what}/", **sent)
        except Refused as error:
            if error.status not in {401, 404, 409}:
                raise
            log.warning("%r: what it found does not count: %s", self, error)
            return False
        except PlatformAway:
            if what in {"check", "scores"}:
                raise
            log.warning("%r: could not be told of: its lease will run out", self, exc_info=True)
            return False
        return True


def _has_pixels(sha256: str, side: int, data: bytes) -> bool:
    try:
        return pixels_sha256(decode_png(data, size=(side, side))) == sha256
    except ImageRejected:
        return False


def _blocks_of(file: IO[bytes]) -> Iterator[bytes]:
    file.seek(0)
    while block := file.read(BLOCK_BYTES):
        yield block
