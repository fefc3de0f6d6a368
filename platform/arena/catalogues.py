"""Compile the translations that changed: ``python -m arena.catalogues``.

Set-up does it in a checkout and ``arena.launch`` where the platform came as a package, which
holds the texts only; needs no Django, so that both can ask before anything is set up.
"""

import sys
import tempfile
from pathlib import Path

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

PACKAGE_DIR = Path(__file__).resolve().parent
DOMAIN = "LC_MESSAGES/django.po"


def find_folder() -> Path:
    """Return the checkout's catalogues if there are any, else those of the installed package."""
    checkout = PACKAGE_DIR.parents[1] / "locale"
    return checkout if checkout.is_dir() else PACKAGE_DIR / "locale"


def compile_stale(folder: Path) -> list[Path]:
    """Compile what is out of date below ``folder`` and return the files written."""
    return [write(po) for po in sorted(folder.glob(f"*/{DOMAIN}")) if is_stale(po)]


def is_stale(po: Path) -> bool:
    mo = po.with_suffix(".mo")
    return not mo.is_file() or mo.stat().st_mtime_ns <= po.stat().st_mtime_ns


def write(po: Path) -> Path:
    with po.open("rb") as file:
        catalogue = read_po(file, locale=po.parents[1].name)
    # A process that starts meanwhile finds the old file or the new one, never half of it.
    with tempfile.NamedTemporaryFile(dir=po.parent, delete=False) as new:
        write_mo(new, catalogue)
    Path(new.name).chmod(0o644)
    return Path(new.name).replace(po.with_suffix(".mo"))


def main() -> int:
    for path in compile_stale(find_folder()):
        print(f"Compiled {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
