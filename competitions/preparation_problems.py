"""Every reason a preparation can end with: a stable code and one sentence that helps.

The sentence says what is wrong and what to do. Facts are data, cut short and escaped where shown.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.template.defaultfilters import filesizeformat
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from competitions.models import ImageRole, Preparation

_TEXTS: dict[str, "str | Promise"] = {
    # The upload
    "not_picture_nor_zip": _(
        "{file} is neither a PNG or JPEG picture nor a zip. Export your pictures to PNG or JPEG."
    ),
    "damaged_zip": _("The zip is damaged: {reason}. Pack it again."),
    "damaged_zip_entry": _("{file} can't be unpacked: the zip is damaged there. Pack it again."),
    "empty_zip": _("There is no picture in the zip."),
    "too_many_files": _("The zip holds {found} files, at most {limit} are taken. Split it."),
    "names_repeat": _(
        "These names occur more than once: {names}. Endings do not count. Rename the files."
    ),
    "folder_in_zip": _(
        "The zip holds a folder or a path ({file}). Select the pictures themselves, not their "
        "folder, and pack those."
    ),
    "link_in_zip": _("{file} is a link and not a file. Put the picture itself into the zip."),
    "encrypted_zip": _("{file} is protected by a password. Pack the zip without one."),
    "unknown_compression": _(
        "{file} is packed by a method that is not taken. Pack the zip in the usual way (deflate)."
    ),
    "file_too_large": _("{file} is larger than {limit_bytes} when unpacked. Make it smaller."),
    "unpacks_to_too_much": _(
        "The zip unpacks to more than {limit_bytes}. Split it, or make the pictures smaller."
    ),
    # The credits in it
    "credits_unreadable": _(
        "credits.csv can't be read: {reason}. Save it as CSV with commas, in UTF-8."
    ),
    "credits_without_name": _(
        "credits.csv has no column called name. Its first line has to be: "
        "name,credit,licence,source"
    ),
    "credits_of_nothing": _(
        "Line {line} of credits.csv names {name}, but no picture is called so."
    ),
    "credits_too_long": _(
        "Line {line} of credits.csv: the column {column} takes at most {limit} characters."
    ),
    # A picture
    "not_png_or_jpeg": _(
        "{file} is neither PNG nor JPEG, whatever its name says. Export it to one of these."
    ),
    "damaged_picture": _("{file} is damaged or incomplete ({reason}). Export it again."),
    "picture_too_large": _(
        "{file} has more than {limit_megapixels} megapixels. Make it smaller first."
    ),
    "animated_picture": _("{file} is a moving picture. Export a single frame of it."),
    "banner_too_small": _(
        "{file} has {width} by {height} pixels. A banner is cut to {proportion} times as wide as "
        "high, and needs at least {least_width} by {least_height} pixels then. Take a larger "
        "picture."
    ),
    "same_picture": _("{file} and {other} are the same picture. Leave one of them out."),
    # What the set has already
    "names_taken": _(
        "The set has images of these names in the same use already: {names}. Rename the files, "
        "or delete those images first."
    ),
    "picture_known": _(
        "{name} is the same picture as {other}, which the set has as: {role}. Every picture of a "
        "set must be a different one."
    ),
    "too_many_pairs": _(
        "That would make {pairs} pairs; a set has at most {limit}. Use fewer images, or pair each "
        "content with one style."
    ),
    "reference_set_in_use": _(
        "The reference set came in use meanwhile and never changes again. Make a new one."
    ),
    # Calibration
    "no_pairs": _("The reference set has no pairs. Add content and style images to it first."),
    "degenerate_anchor": _(
        "A pair's content and style image are alike, so there is nothing to measure by. Take one "
        "of them out of the set."
    ),
    "weights_unavailable": _(
        "The network {network} is not there, or not the one that was asked for. Tell the "
        "administrators of this site, or calibrate with another."
    ),
    "bad_discriminator": _(
        "The recipe's discriminator can't be used. Upload one that this platform trained."
    ),
    "bad_recipe": _("The recipe contradicts itself: {reason}"),
    "recipe_in_use": _(
        "The recipe came in use meanwhile and never changes again. Duplicate it and calibrate "
        "the copy."
    ),
    "changed_meanwhile": _(
        "The images or the recipe changed while they were measured. Calibrate once more."
    ),
    # The platform
    "platform_fault": _(
        "Something went wrong on our side, several times. Try it again, and tell the "
        "administrators of this site if it fails once more."
    ),
}
CODES = frozenset(_TEXTS)


class PreparationRejected(Exception):
    """The organizer can mend it; ``code`` is one of ``CODES``, ``facts`` are plain JSON values."""

    def __init__(self, code: str, **facts: Any) -> None:
        super().__init__(code, facts)
        self.code = code
        self.facts = facts


@dataclass(frozen=True)
class Problem:
    code: str
    facts: Mapping[str, Any]

    @property
    def detail(self) -> str:
        """One or two sentences in the reader's language."""
        text = str(_TEXTS.get(self.code, _TEXTS["platform_fault"]))
        return text.format_map(_Facts({key: _shown(key, self.facts[key]) for key in self.facts}))


def problem_of(preparation: Preparation) -> str:
    """Say why a preparation ended badly, empty if it did not."""
    if not preparation.problem_code:
        return ""
    return Problem(preparation.problem_code, preparation.problem_facts).detail


class _Facts(dict[str, str]):
    """Facts by name; a limit also in units that people read."""

    def __missing__(self, key: str) -> str:
        name, _sep, unit = key.rpartition("_")
        if unit == "bytes" and name in self:
            return str(filesizeformat(self[name]))
        if unit == "megapixels" and name in self:
            return str(int(self[name]) // 1_000_000)
        return "?"


def _shown(name: str, fact: Any) -> str:
    if name == "role" and fact in ImageRole.values:
        return str(ImageRole(fact).label)
    if isinstance(fact, list | tuple):
        return ", ".join(str(part) for part in fact)
    return str(fact)
