"""Texts in CSV files, which people open in spreadsheets."""

# A cell that begins so is a formula to a spreadsheet; full-width signs count in some.
_FORMULA_STARTS = tuple("=+-@\t\r\n＝＋－＠")  # noqa: RUF001 - full-width on purpose


def disarm(text: str) -> str:
    """Keep a spreadsheet from running text that somebody else chose."""
    return f"'{text}" if text.lstrip(" ").startswith(_FORMULA_STARTS) else text
