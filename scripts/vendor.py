#!/usr/bin/env python3
"""Copy the browser files that npm packages provide into static/vendor (maintainers only).

Change a version in package.json, run ``npm install --package-lock-only``, then this script, and
commit package.json, package-lock.json and static/vendor together. ``SHA256SUMS`` is checked by
the tests, so a file that was edited by hand does not go unnoticed.
"""

import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENDOR = ROOT / "static" / "vendor"
FILES = {
    "bootstrap/dist/css/bootstrap.min.css": "bootstrap/bootstrap.min.css",
    "bootstrap/LICENSE": "bootstrap/LICENSE",
    "chart.js/dist/chart.umd.min.js": "chart.js/chart.umd.min.js",
    "chart.js/LICENSE.md": "chart.js/LICENSE.md",
    "img-comparison-slider/dist/index.js": "img-comparison-slider/index.js",
    "img-comparison-slider/dist/styles.css": "img-comparison-slider/styles.css",
    "img-comparison-slider/README.md": "img-comparison-slider/README.md",  # names its licence
    "photoswipe/dist/umd/photoswipe.umd.min.js": "photoswipe/photoswipe.umd.min.js",
    "photoswipe/dist/umd/photoswipe-lightbox.umd.min.js": (
        "photoswipe/photoswipe-lightbox.umd.min.js"
    ),
    "photoswipe/dist/photoswipe.css": "photoswipe/photoswipe.css",
    "photoswipe/LICENSE": "photoswipe/LICENSE",
    "tus-js-client/dist/tus.min.js": "tus-js-client/tus.min.js",
    "tus-js-client/LICENSE": "tus-js-client/LICENSE",
}
# The maps are not copied, and collectstatic refuses a reference to a file that is not there.
SOURCE_MAP = re.compile(rb"\n?(/\*# sourceMappingURL=\S+ \*/|//# sourceMappingURL=\S+)\s*$")


def main() -> None:
    npm = shutil.which("npm") or sys.exit("npm is needed: apt install npm")
    with tempfile.TemporaryDirectory() as folder:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(ROOT / name, folder)
        subprocess.run([npm, "ci", "--ignore-scripts", "--no-fund"], cwd=folder, check=True)  # noqa: S603
        shutil.rmtree(VENDOR, ignore_errors=True)
        for source, target in FILES.items():
            content = SOURCE_MAP.sub(b"\n", (Path(folder) / "node_modules" / source).read_bytes())
            (VENDOR / target).parent.mkdir(parents=True, exist_ok=True)
            (VENDOR / target).write_bytes(content)
    lines = [
        f"{hashlib.sha256((VENDOR / target).read_bytes()).hexdigest()}  {target}\n"
        for target in sorted(FILES.values())
    ]
    (VENDOR / "SHA256SUMS").write_text("".join(lines))


if __name__ == "__main__":
    main()
