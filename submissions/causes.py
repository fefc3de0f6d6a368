"""What probably lies behind a failure, told as a hint and never as a verdict."""

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _

Facts = Mapping[str, Any]

_LARGEST_MULTIPLE = 64


def cause_of(code: str, facts: Facts) -> str:
    """Return the likely cause in the reader's language; empty where nothing is likely."""
    match code:
        case "wrong_keys" | "wrong_shapes" if facts.get("fits"):
            return _("The file fits {fits}: is that what it is?").format(fits=facts["fits"])
        case "wrong_keys" if isinstance(known := facts.get("known"), list):
            return _(
                "These seem to be the weights of an architecture that is not known here: known are "
                "{known}. Export the generator to ONNX, which takes any network."
            ).format(known=", ".join(map(str, known)))
        case "wrong_keys" if facts.get("missing_count") == 0:
            return _(
                "Everything that the architecture needs is there, and more: does the file hold "
                "other networks or layers as well?"
            )
        case "output_shape":
            return _frozen(facts.get("expected"), facts.get("found"))
        case "non_finite_output":
            return _(
                "Was it trained on values of another range than it is given here, or with 16-bit "
                "numbers that overflow?"
            )
        case "generator_crashed" if _is_about_shapes(facts.get("message")):
            return _(
                "Were height and width fixed when it was exported? Then it runs at that size only: "
                "export it with free height and width."
            )
        case "corrupt_file" if facts.get("reason") == "truncated":
            return _("Did the download or the copy break off? Compare the size with the original.")
        case "not_a_checkpoint" if facts.get("kind") == "git_lfs_pointer":
            return _("Was the repository cloned without Git LFS? “git lfs pull” gets the file.")
        case "not_a_checkpoint" if facts.get("kind") in ("html", "json", "text"):
            return _("Did the download save an error or log-in page in the place of the file?")
    return ""


def _frozen(expected: Any, found: Any) -> str:
    """Explain an output that is a little too small or too large."""
    if not (_is_picture(expected) and _is_picture(found)):
        return ""
    if found[1] != 3:
        return _("Does it return something else beside the picture, or a picture with alpha?")
    wanted, given = expected[2:], found[2:]
    nearly = all(abs(a - b) < _LARGEST_MULTIPLE for a, b in zip(wanted, given, strict=True))
    if not nearly or wanted == given:
        return _("Does it enlarge or shrink its pictures?")
    multiple = 2
    while multiple < _LARGEST_MULTIPLE and not any(side % (2 * multiple) for side in given):
        multiple *= 2
    return _(
        "Was padding or a size fixed when it was exported? Then it is right only for sides that "
        "are multiples of {multiple} or so. Check it again with that size rule, or export it anew "
        "with free height and width."
    ).format(multiple=multiple)


def _is_picture(shape: Any) -> bool:
    return isinstance(shape, list) and len(shape) == 4 and all(type(side) is int for side in shape)


def _is_about_shapes(message: Any) -> bool:
    words = ("dimension", "shape", "broadcast", "size")
    return isinstance(message, str) and any(word in message.lower() for word in words)
