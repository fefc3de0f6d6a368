"""What workers elsewhere hand in, believed only as far as it can be checked.

Pictures come in an archive that is not compressed, so that its size says how much is in it. Its
``report.json`` holds what is said of them.
"""

import json
import math
import re
import zipfile
from collections.abc import Callable, Collection, Mapping
from typing import Any, BinaryIO, NoReturn

from django.utils.translation import gettext_lazy as _

from competitions.errors import Invalid, TooLarge
from evaluation import hint_texts
from evaluation.assignment import Assignment, Checked, FirstLook, Notes, Picture
from styletransfer.card_schema import read_schema
from styletransfer.errors import InvalidScoreCard
from styletransfer.manifest import Manifest
from styletransfer.metric_specs import METRICS
from styletransfer.proposal import SENTENCES, Proposal, Reason
from styletransfer.score_card import ScoreCard
from submissions.failures import CODES

REPORT = "report.json"
LARGEST_REPORT = 64 << 20
LARGEST_THUMBNAIL = 256 << 10
LARGEST_LOG = 20_000
LARGEST_FACTS = 8_192
# What is said by the site itself, or blames nobody.
_NOT_OF_WORKERS = {"duplicate", "platform_fault", "platform_fault_final"}
_SHA256 = re.compile(r"[0-9a-f]{64}")


def largest_png(side: int) -> int:
    """Return the size of a picture that can't be compressed, and what a PNG adds to it."""
    return side * (3 * side + 1) + side * side // 100 + (64 << 10)


def largest_archive(assignment: Assignment) -> int:
    """Return how many bytes a report of pictures can have."""
    pictures = 3 if assignment.stage == "check" else assignment.count
    each = largest_png(assignment.references.image_size) + LARGEST_THUMBNAIL + 1024
    return LARGEST_REPORT + pictures * each


def read_notes(given: object) -> Notes:
    """Read what a worker has noted.

    Raises:
        Invalid: it is something else.
    """
    noted = _object(given, "notes")
    steps, versions = (
        _object(noted.get("steps"), "steps"),
        _object(noted.get("versions"), "versions"),
    )
    log, converted = noted.get("log"), noted.get("converted_sha256")
    if len(steps) > 40 or not all(len(name) <= 20 and _is_number(s) for name, s in steps.items()):
        _refuse("steps")
    if len(json.dumps(versions)) > LARGEST_FACTS:
        _refuse("versions")
    if not isinstance(log, str) or len(log) > LARGEST_LOG:
        _refuse("log")
    if not isinstance(converted, str) or not (converted == "" or _SHA256.fullmatch(converted)):
        _refuse("converted_sha256")
    return Notes(dict(steps), dict(versions), log.replace("\0", ""), converted)


def read_refusal(given: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Read why a checkpoint is refused: a code that is known, and facts.

    Raises:
        Invalid: it is something else.
    """
    code, facts = given.get("code"), _object(given.get("facts"), "facts")
    if code not in CODES - _NOT_OF_WORKERS:
        _refuse("code")
    if len(json.dumps(facts)) > LARGEST_FACTS:
        _refuse("facts")
    return str(code), dict(facts)


def read_progress(given: Mapping[str, Any]) -> dict[str, Any]:
    """Read how far a worker is.

    Raises:
        Invalid: it is something else.
    """
    known: dict[str, Callable[[Any], bool]] = {
        "step": lambda value: isinstance(value, str) and len(value) <= 20,
        "progress_done": _is_count,
        "progress_of": _is_count,
    }
    for name, value in given.items():
        if name not in known or not known[name](value):
            _refuse(name)
    return dict(given)


class Archive:
    """A report with pictures, opened: exactly the files that there have to be."""

    def __init__(self, file: BinaryIO) -> None:
        try:
            self._zip = zipfile.ZipFile(file)
            entries = self._zip.infolist()
        except (zipfile.BadZipFile, ValueError, OSError) as error:
            raise Invalid("bad_report", _("The report is not an archive.")) from error
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
            raise Invalid("bad_report", _("The archive of a report must not be compressed."))
        self._sizes = {entry.filename: entry.file_size for entry in entries}
        if len(self._sizes) != len(entries):
            _refuse("files")
        self.report = self._read_report()

    def require(self, names: Collection[str]) -> None:
        """Make sure of the files.

        Raises:
            Invalid: there are more, or fewer.
        """
        if set(self._sizes) != {REPORT, *names}:
            _refuse("files")

    def has(self, name: str) -> bool:
        return name in self._sizes

    def read(self, name: str, *, limit: int) -> bytes:
        """Return a file.

        Raises:
            TooLarge: it is larger than it can be.
            Invalid: it is damaged.
        """
        if self._sizes.get(name, limit + 1) > limit:
            raise TooLarge("bad_report", _("A file of the report is too large."), file=name)
        try:
            return self._zip.read(name)
        except (zipfile.BadZipFile, EOFError, OSError, RuntimeError) as error:
            raise Invalid("bad_report", _("The archive of the report is damaged.")) from error

    def png(self, name: str, *, side: int) -> bytes:
        """Return a picture of the phase's size, by its header; nothing is decoded here.

        Raises:
            Invalid: it is something else.
        """
        from styletransfer.picture_files import ImageRejected, read_png_size

        data = self.read(name, limit=largest_png(side))
        try:
            size = read_png_size(data)
        except ImageRejected as error:
            raise _not_a_picture(name) from error
        if size != (side, side) or not data.endswith(b"IEND\xaeB`\x82"):
            raise _not_a_picture(name)
        return data

    def webp(self, name: str) -> bytes:
        data = self.read(name, limit=LARGEST_THUMBNAIL)
        if data[:4] != b"RIFF" or data[8:12] != b"WEBP":
            raise _not_a_picture(name)
        return data

    def _read_report(self) -> dict[str, Any]:
        text = self.read(REPORT, limit=LARGEST_REPORT)
        try:
            return _object(json.loads(text, parse_constant=_no_constant), "report")
        except (ValueError, RecursionError) as error:
            raise Invalid("bad_report", _("The report is not JSON.")) from error


def read_check(archive: Archive, assignment: Assignment) -> Checked:
    """Read what a check found.

    Raises:
        Invalid, TooLarge: something can't be what a check finds.
    """
    side = assignment.references.image_size
    names = {"content.png", "picture.png"} | ({"style.png"} if archive.has("style.png") else set())
    archive.require(names)
    hints = archive.report.get("hints")
    if not isinstance(hints, list) or not all(_is_hint(each) for each in hints):
        _refuse("hints")
    first = FirstLook(
        content=archive.png("content.png", side=side),
        style=archive.png("style.png", side=side) if "style.png" in names else b"",
        picture=archive.png("picture.png", side=side),
        is_test_card=not assignment.pairs_public,
        hints=hints,
        measured=_read_measured(archive.report.get("measured")),
    )
    proposal = archive.report.get("proposal")
    if (proposal is None) != assignment.checkpoint.is_described:
        _refuse("proposal")
    return Checked(first, None if proposal is None else _read_proposal(proposal))


def _read_measured(given: object) -> dict[str, int]:
    measured = _object(given, "measured")
    known = {"parameters", "needed_bytes", "peak_bytes"}
    if not set(measured) <= known or not all(_is_count(each, 2**63) for each in measured.values()):
        _refuse("measured")
    return measured


def _is_hint(given: Any) -> bool:
    return (
        isinstance(given, dict)
        and set(given) == {"code", "field", "value"}
        and given.get("code") in hint_texts.CODES
        and all(isinstance(text, str) and len(text) <= 200 for text in given.values())
    )


def _read_proposal(given: object) -> Proposal:
    told = _object(given, "proposal")
    try:
        manifest = Manifest.model_validate(told["manifest"])
        reasons = {
            str(name): Reason(each["code"], dict(each["facts"]))
            for name, each in told["reasons"].items()
        }
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise Invalid("bad_report", _("The report’s proposal is not one.")) from error
    known = {reason.code for reason in reasons.values()} <= set(SENTENCES)
    if not known or len(json.dumps(told["reasons"])) > LARGEST_FACTS:
        _refuse("proposal")
    return Proposal(manifest, reasons)


def read_scores(archive: Archive, assignment: Assignment) -> tuple[ScoreCard, list[Picture]]:
    """Read what was measured: of this checkpoint, by this recipe, for every pair.

    Raises:
        Invalid, TooLarge: something can't be what was assigned.
    """
    side = assignment.references.image_size
    numbers = range(assignment.first, assignment.first + assignment.count)
    archive.require([f"{number}.{kind}" for number in numbers for kind in ("png", "webp")])
    card = read_card(archive.report.get("card"), assignment)
    pictures = [
        Picture(archive.png(f"{number}.png", side=side), archive.webp(f"{number}.webp"))
        for number in numbers
    ]
    return card, pictures


def read_card(given: object, assignment: Assignment) -> ScoreCard:
    """Read a score card and hold it to the assignment.

    Raises:
        Invalid: it is not one, or not of this attempt.
    """
    import jsonschema  # not needed by those who serve pages

    try:
        jsonschema.validate(given, json.loads(read_schema()))
        card = ScoreCard.from_json(given)
    except (jsonschema.ValidationError, InvalidScoreCard) as error:
        raise Invalid("bad_report", _("The report’s card is not a score card.")) from error
    recipe = assignment.recipe
    measured = {key for key in recipe.measured if METRICS[key].source == "run"}
    if set(card.scores) != set(recipe.scored):
        _refuse("scores")
    if not all(_is_number(card.measurements.get(key)) for key in measured):
        _refuse("measurements")
    per_pair = {key for key in recipe.scored if METRICS[key].per_pair}
    if not per_pair <= set(card.per_pair):
        _refuse("per_pair")
    for key, values in card.per_pair.items():
        if len(values) != assignment.count or not all(map(math.isfinite, values)):
            _refuse("per_pair")
        if key in card.scores and not _is_mean(card.scores[key].value, values):
            _refuse("scores")
    for estimate in card.scores.values():
        known = [each for each in (estimate.value, estimate.low, estimate.high) if each is not None]
        if not all(map(math.isfinite, known)):
            _refuse("scores")
    _require_provenance(card, assignment)
    return card


def _is_mean(value: float, values: list[float]) -> bool:
    return math.isclose(value, math.fsum(values) / len(values), rel_tol=1e-5, abs_tol=1e-9)


def _require_provenance(card: ScoreCard, assignment: Assignment) -> None:
    """Hold the card to the hashes of what it was to be made of."""
    told = card.provenance
    expected = {
        "checkpoint_sha256": assignment.checkpoint.sha256,
        "recipe_sha256": assignment.recipe.sha256(),
        "references_sha256": assignment.references.sha256,
    }
    if any(told.get(name) != value for name, value in expected.items()):
        _refuse("provenance")


# --- Small checks -------------------------------------------------------------------------------
def _is_number(value: object) -> bool:
    is_plain = isinstance(value, int | float) and not isinstance(value, bool)
    return is_plain and math.isfinite(float(value))  # type: ignore[arg-type]


def _is_count(value: object, limit: int = 2**31) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < limit


def _object(given: object, name: str) -> dict[str, Any]:
    if not isinstance(given, dict):
        _refuse(name)
    found: dict[str, Any] = given
    return found


def _no_constant(_text: str) -> NoReturn:
    raise ValueError("no JSON has NaN")


def _refuse(field: str) -> NoReturn:
    raise Invalid(
        "bad_report", _("The report is not what this attempt can have found."), field=field
    )


def _not_a_picture(name: str) -> Invalid:
    detail = _("A file of the report is not a picture of this phase’s size.")
    return Invalid("bad_report", detail, file=name)
