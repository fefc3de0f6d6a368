"""File names as labels: shown, and never a path."""

import unicodedata

from django.utils.translation import gettext as _


def make_label(name: str | None) -> str:
    """Return a file name fit to be shown: one line, no control characters, at most 100."""
    text = unicodedata.normalize("NFC", (name or "").replace("\\", "/").rsplit("/", 1)[-1])
    # Cc control, Cf format (right-to-left overrides hide an extension), Cs lone surrogates.
    kept = (char for char in text if unicodedata.category(char) not in {"Cc", "Cf", "Cs"})
    return "".join(kept).strip()[:100] or _("unnamed")
