"""What a first picture suggests, asked as a question in the reader's language."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from submissions.forms import CHANNEL_ORDERS, RANGES

_QUESTIONS: dict[str, "str | Promise"] = {
    "clipped": _("Large parts are cut off to black or white: does it return values of {value}?"),
    "dark": _("Nearly everything is black: does it return values of {value}?"),
    "pale": _("Nothing in it is dark: does it return values of {value}?"),
    "flat": _("It is nearly one colour: was it trained on values of {value}?"),
    "copied": _("It hardly differs from the content: was it trained on values of {value}?"),
    "swapped": _("Red and blue seem to have changed places: is the order of its colours {value}?"),
}
_LABELS: Mapping[str, "str | Promise"] = dict([*RANGES, *CHANNEL_ORDERS])
CODES = frozenset(_QUESTIONS)


@dataclass(frozen=True)
class Question:
    """A hint with what to try: ``value`` for ``field`` of the manifest."""

    code: str
    field: str
    value: str

    @property
    def label(self) -> str:
        return str(_LABELS.get(self.value, self.value))

    @property
    def detail(self) -> str:
        return str(_QUESTIONS[self.code]).format(value=self.label)

    def to_json(self) -> dict[str, str]:
        return {
            "code": self.code,
            "detail": self.detail,
            "field": self.field,
            "value": self.value,
        }


def questions_of(hints: Iterable[Mapping[str, str]]) -> Sequence[Question]:
    """Put stored hints in words."""
    return [Question(**hint) for hint in hints if hint["code"] in CODES]
