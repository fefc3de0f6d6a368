"""What is wrong with a manifest, one sentence per field, in the reader's language.

The manifest itself belongs to the core, which has English only and knows no reader. Its checks
name each problem by a code and facts; here are the sentences for them.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from pydantic import ValidationError

from styletransfer.architectures import ARCHITECTURES

_TEXTS: dict[str, "str | Promise"] = {
    # What pydantic finds
    "missing": gettext_lazy("This is missing."),
    "extra_forbidden": gettext_lazy("A manifest has no such field. Check its spelling."),
    "literal_error": gettext_lazy("This must be one of: {choices}."),
    "int_type": gettext_lazy("This must be a whole number."),
    "greater_than_equal": gettext_lazy("This must be at least {ge}."),
    "less_than_equal": gettext_lazy("This must be at most {le}."),
    "string_type": gettext_lazy("This must be text."),
    "string_too_short": gettext_lazy("This may not be empty."),
    "string_too_long": gettext_lazy("This may have at most {max_length} characters."),
    "string_pattern_mismatch": gettext_lazy(
        "This holds characters that are not accepted, such as a line break."
    ),
    "string_unicode": gettext_lazy("This holds characters that are no valid Unicode."),
    "tuple_type": gettext_lazy("This must be a list."),
    "too_short": gettext_lazy("This must have at least {min_length} entries, not {actual_length}."),
    "too_long": gettext_lazy("This may have at most {max_length} entries."),
    "dict_type": gettext_lazy("This must be an object: names with values."),
    "model_type": gettext_lazy("This must be an object: names with values."),
    "json_invalid": gettext_lazy("This is not valid JSON; reading stopped at {place}."),
    "json_type": gettext_lazy("This must be JSON."),
    # What the core finds
    "no_content_input": gettext_lazy("One input must have the role content."),
    "repeated_role": gettext_lazy("Two inputs may not have the same role."),
    "repeated_name": gettext_lazy("Two inputs may not have the same name."),
    "architecture_missing": gettext_lazy(
        "A file of weights needs an architecture: {known}. For any other network export the "
        'generator to ONNX and set "format": "onnx", "architecture": null.'
    ),
    "architecture_not_for_onnx": gettext_lazy(
        "An ONNX file describes its own network: set architecture to null."
    ),
    "parameters_not_for_onnx": gettext_lazy(
        "An ONNX file describes its own network: leave parameters empty."
    ),
    "unknown_parameter": gettext_lazy('{architecture} has no parameter "{name}", only {known}.'),
    "parameter_out_of_range": gettext_lazy(
        "{name} of {architecture} must be {allowed}, not {value}."
    ),
    "wrong_number_of_inputs": gettext_lazy(
        "Images that {architecture} takes: {expected}; the manifest lists {found}."
    ),
}
KINDS = frozenset(_TEXTS)
Facts = Mapping[str, Any]


def list_problems(error: ValidationError) -> list[dict[str, str]]:
    """Return ``{"field", "detail"}`` for each problem, fields written with dots."""
    return [
        {
            "field": ".".join(str(part) for part in each["loc"]),
            "detail": describe(each["type"], each.get("ctx", {}), english=each["msg"]),
        }
        for each in error.errors(include_url=False, include_input=False)
    ]


def describe(kind: str, facts: Facts, *, english: str) -> str:
    """Return the sentence for a kind of problem, or the English one where there is none."""
    text = _TEXTS.get(kind)
    if text is None:
        return english
    return str(text).format_map({**facts, **(_WORDED[kind](facts) if kind in _WORDED else {})})


def _choices(facts: Facts) -> dict[str, str]:
    # Given as an English list: 'RGB' or 'BGR'
    return {"choices": ", ".join(re.findall(r"'([^']*)'", str(facts["expected"])))}


def _place(facts: Facts) -> dict[str, str]:
    found = re.search(r"line (\d+) column (\d+)", str(facts["error"]))
    line, column = found.groups() if found else (1, 1)
    return {"place": _("line {line}, column {column}").format(line=line, column=column)}


def _allowed(facts: Facts) -> dict[str, str]:
    parameter = ARCHITECTURES[facts["architecture"]].parameters[facts["name"]]
    if parameter.choices is not None:
        listed = ", ".join(str(choice) for choice in parameter.choices)
        return {"allowed": _("one of {choices}").format(choices=listed)}
    return {"allowed": _("{low} to {high}").format(low=parameter.low, high=parameter.high)}


# Facts that hold English words and are written anew.
_WORDED: dict[str, Callable[[Facts], dict[str, str]]] = {
    "literal_error": _choices,
    "json_invalid": _place,
    "parameter_out_of_range": _allowed,
}
