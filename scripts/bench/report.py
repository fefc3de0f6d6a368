"""Show rows as a table on the terminal, as Markdown and as JSON."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scripts.bench.rows import Row, show

VERDICTS = {True: "ok", False: "MISSED", None: ""}
HEADS = ("what", "measured", "bar", "peer", "ratio", "")


def cells(row: Row) -> tuple[str, ...]:
    """Return what the table shows of a row."""
    peer = row.peer
    if row.peer_value is not None:
        peer = f"{row.peer} {show(row.peer_value)}"
    return (
        row.what,
        f"{show(row.value)} {row.unit}".strip(),
        str(row.bar or ""),
        peer,
        "" if row.ratio is None else f"{show(row.ratio)} x",
        VERDICTS[row.is_kept],
    )


class Terminal:
    """Prints rows as they come, so that a long run can be watched."""

    WIDTHS = (58, 20, 11, 34, 9, 6)

    def title(self, text: str) -> None:
        """Begin a section."""
        print(f"\n{text}")
        self._line(HEADS)

    def row(self, row: Row) -> None:
        """Print one row."""
        self._line(cells(row))

    def _line(self, texts: Sequence[str]) -> None:
        padded = (f"{text:<{width}}" for text, width in zip(texts, self.WIDTHS, strict=True))
        print("  " + " ".join(padded).rstrip(), flush=True)


def write_json(path: Path, machine: Mapping[str, Any], found: Mapping[str, Sequence[Row]]) -> None:
    """Write all that was found, with what the machine is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sections = {key: [row.to_json() for row in rows] for key, rows in found.items()}
    written = {"machine": dict(machine), "sections": sections}
    path.write_text(json.dumps(written, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def to_markdown(machine: Mapping[str, Any], found: Mapping[str, Sequence[Row]]) -> str:
    """Return the same as tables for a document."""
    facts = "; ".join(f"{name} {value}" for name, value in machine.items() if name != "versions")
    lines = [f"Measured on: {facts}.", ""]
    for title, rows in found.items():
        lines += [f"### {title}", "", "| " + " | ".join(HEADS) + " |", "|---" * len(HEADS) + "|"]
        lines += ["| " + " | ".join(cells(row)) + " |" for row in rows]
        lines.append("")
    return "\n".join(lines)
