"""Measure this machine and this project beside other tools: ``make bench``.

docs/benchmarks.md says what is measured how. Everything runs on one thread, as an evaluation worker
does.
"""

import argparse
import importlib
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from scripts.bench.report import Terminal, to_markdown, write_json
from scripts.bench.rows import Row
from scripts.bench.timing import ONE_THREAD, ROOT

# Keys of sections, the modules that measure them, and what they are called.
SECTIONS = {
    "golden": ("golden", "Golden values"),
    "fid": ("fid", "FID beside other tools, same files, same weights"),
    "frechet": ("frechet_step", "Frechet step"),
    "inception": ("inception", "Inception network"),
    "vgg": ("vgg", "Content and style, references cached"),
    "score": ("score", "Whole score"),
    "training": ("training", "Training steps"),
    "memory": ("memory", "Memory"),
    "repeat": ("repeat", "The same submission again"),
    "agreement": ("agreement", "Agreement with other packages"),
    "sandbox": ("sandbox", "Sandbox"),
    "preflight": ("preflight", "Pre-flight"),
    "shards": ("shards", "One submission, two workers"),
    "pages": ("pages", "Pages of the platform that runs here"),
}
EXAMPLES = """\
examples:
  make bench                                   everything; about ten minutes
  make bench ARGS="--only fid,vgg --quick"     few pictures and rounds, to see that it works
  make bench ARGS=--markdown                   print tables for a document at the end
"""


def main() -> int:
    """Measure the chosen sections; return 1 if a bar was missed."""
    chosen = parse()
    # Before any of them loads the libraries that read it.
    os.environ.update(ONE_THREAD)
    from scripts.bench import machine
    from scripts.bench.setting import Setting
    from styletransfer.determinism import make_deterministic

    make_deterministic(1)
    # All of them now: what can't be loaded shows before anything was measured.
    modules = {
        key: importlib.import_module(f"scripts.bench.{SECTIONS[key][0]}") for key in SECTIONS
    }
    facts = machine.describe()
    print("; ".join(f"{name} {value}" for name, value in facts.items() if name != "versions"))
    found: dict[str, list[Row]] = {}
    terminal = Terminal()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        setting = Setting(Path(folder), chosen.quick, chosen.port, tuple(chosen.checkpoints))
        for key in chosen.only:
            terminal.title(SECTIONS[key][1])
            found[key] = []
            for row in modules[key].measure(setting):
                terminal.row(row)
                found[key].append(row)
            write_json(chosen.out, facts | {"is_quick": chosen.quick}, found)
    print(f"\nWritten to {chosen.out}")
    if chosen.markdown:
        titled = {SECTIONS[key][1]: rows for key, rows in found.items() if rows}
        print("\n" + to_markdown(facts, titled))
    return summarise([row for rows in found.values() for row in rows])


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="make bench",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--only", type=read_keys, default=list(SECTIONS), help=f"some of {','.join(SECTIONS)}")
    add("--quick", action="store_true", help="few pictures and rounds: shows that it works")
    add("--markdown", action="store_true", help="print the tables as Markdown as well")
    add("--out", type=Path, default=ROOT / "var" / "bench" / "results.json")
    add("--port", type=int, default=int(os.environ.get("PORT") or 8000), help="of the platform")
    add("--checkpoints", type=Path, nargs="*", default=[], help="more files for the pre-flight")
    return parser.parse_args()


def read_keys(text: str) -> list[str]:
    """Split the sections' keys.

    Raises:
        ArgumentTypeError: there is no such section.
    """
    keys = text.split(",")
    for key in keys:
        if key not in SECTIONS:
            raise argparse.ArgumentTypeError(f"no section {key!r}; there are {','.join(SECTIONS)}")
    return keys


def summarise(rows: Sequence[Row]) -> int:
    """Name what missed its bar; return the exit status."""
    missed = [row for row in rows if row.is_kept is False]
    kept = sum(row.is_kept is True for row in rows)
    print(f"{kept} bars kept, {len(missed)} missed")
    for row in missed:
        print(f"  missed: {row.what} {row.peer}".rstrip(), file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
