"""Take a picture of every page into var/screenshots; run by ``make screenshots``.

Starts the demo in a folder of its own until everything is scored, fills a copy of it with what the
other pages show, and visits the table of ``tests/web/pages.py``: two widths, themes and languages.
``index.html`` beside the pictures shows them all. Arguments keep the pages whose names hold one.
"""

import argparse
import html
import logging
import os
import shutil
import sqlite3
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "platform")]

from tests.conftest import CHROMIUM_FLAGS, CHROMIUM_NAMES  # noqa: E402
from tests.deployment import Deployment, kill_all  # noqa: E402

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.web.pages import PageCase
    from tests.web.visiting import Visitor

WIDTHS, SCHEMES, LANGUAGES = (360, 1280), ("light", "dark"), ("en", "zh-hans")
SCORING_S = 900
HIGHEST = 6000
"""Of a picture, in pixels: what is longer shows nothing new."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="make screenshots", description=__doc__)
    parser.add_argument("words", nargs="*", help="keep pages whose name holds one of these")
    words = parser.parse_args().words
    var = Path(os.environ.get("ARENA_VAR") or ROOT / "var").resolve()
    demo, copy, target = var / "screenshots-demo", var / "screenshots-site", var / "screenshots"
    score_demo(demo)
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(demo, copy, ignore=shutil.ignore_patterns("lock", "log", "broker"))
    if not words:
        shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True, exist_ok=True)
    start_django(copy)
    failed = take_all(target, words)
    write_index(target)
    print(f"{len(list(target.glob('*.png')))} pictures: {target / 'index.html'}")
    for problem in failed:
        print(f"not taken: {problem}", file=sys.stderr)
    return 1 if failed else 0


def score_demo(var: Path) -> None:
    """Run the demo until its boards are full; a second time finds them so."""
    print("Scoring the demo (a few minutes the first time)", flush=True)
    var.mkdir(mode=0o700, parents=True, exist_ok=True)
    deployment = Deployment(var)
    deployment.log.unlink(missing_ok=True)
    deployment.start("--demo")
    try:
        deployment.wait_for("the demo's boards", lambda: is_scored(deployment), SCORING_S)
        deployment.stop()
    finally:
        kill_all(deployment)


def is_scored(deployment: Deployment) -> bool:
    """Say whether the demo is in and nothing of it waits to be scored any more."""
    if "demo competition is in" not in deployment.log.read_text(errors="replace"):
        return False
    with closing(sqlite3.connect(deployment.var / "db.sqlite3", timeout=20)) as database:
        waiting = "SELECT count(*) FROM submissions_submission WHERE status != 'scored'"
        return bool(database.execute(waiting).fetchone()[0] == 0)


def start_django(var: Path) -> None:
    """Set the site up in this process, over the copied folder."""
    os.environ |= {
        "ARENA_VAR": str(var),
        "DJANGO_SETTINGS_MODULE": "arena.settings",
        "DJANGO_ALLOW_ASYNC_UNSAFE": "1",  # Playwright runs an event loop in this thread
    }
    import django

    django.setup()
    from django.conf import settings

    settings.ROOT_URLCONF = "tests.web.error_urls"
    # Pages about errors are asked for on purpose.
    logging.getLogger("django").setLevel(logging.CRITICAL)


@contextmanager
def served() -> Iterator[str]:
    """Serve the site without workers, so that what waits in a queue goes on waiting."""
    from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
    from django.core.wsgi import get_wsgi_application

    class Quiet(WSGIRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = ThreadedWSGIServer(("127.0.0.1", 0), Quiet)
    server.daemon_threads = True
    server.set_app(get_wsgi_application())
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()


def take_all(target: Path, words: list[str]) -> list[str]:
    """Visit every page in every way; return what could not be taken."""
    from playwright.sync_api import sync_playwright

    from competitions.models import Phase
    from tests.web.pages import PAGES, admin_pages
    from tests.web.scene import make_scene
    from tests.web.visiting import Visitor

    scene = make_scene(Phase.objects.get(name="One style"))
    cases = [
        case
        for case in (*PAGES, *admin_pages())
        if not words or any(word in case.name for word in words)
    ]
    path = next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None)
    failed = []
    with served() as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_FLAGS)
        visitor = Visitor(browser, url, scene)
        for number, case in enumerate(cases, start=1):
            started = time.monotonic()
            try:
                take(visitor, case, target)
            except Exception as error:  # noqa: BLE001 - one page must not keep the others out
                failed.append(f"{case.name}: {error}")
            seconds = time.monotonic() - started
            print(f"{number:3} of {len(cases)}  {case.name:32} {seconds:5.1f} s", flush=True)
        visitor.close()
        browser.close()
    return failed


def take(visitor: "Visitor", case: "PageCase", target: Path) -> None:
    from tests.web.visiting import wait_for_pictures

    for language, scheme in product(LANGUAGES, SCHEMES):
        page = visitor.open(case, language=language, scheme=scheme, width=WIDTHS[0])  # type: ignore[arg-type]
        try:
            for width in WIDTHS:
                page.set_viewport_size({"width": width, "height": 900})
                wait_for_pictures(page)
                shoot(page, target / f"{case.name}.{width}.{scheme}.{language}.png", width=width)
        finally:
            page.close()


def shoot(page: "Page", path: Path, *, width: int) -> None:
    height = int(page.evaluate("document.documentElement.scrollHeight"))
    clip = {"x": 0, "y": 0, "width": width, "height": max(900, min(height, HIGHEST))}
    page.screenshot(path=path, full_page=True, clip=clip)  # type: ignore[arg-type]


def write_index(target: Path) -> None:
    """Write a page with all pictures, a row for each page of the site."""
    rows: dict[str, list[str]] = {}
    for path in sorted(target.glob("*.png")):
        rows.setdefault(path.name.split(".")[0], []).append(path.name)
    parts = [
        "<!doctype html><meta charset=utf-8><title>Pages</title>",
        "<style>body{font:16px sans-serif;margin:2rem;background:#888}div{display:flex;gap:1rem;"
        "overflow-x:auto}img{height:30rem;width:auto;object-fit:cover;object-position:top}</style>",
    ]
    for name, files in rows.items():
        pictures = "".join(
            f'<a href="{html.escape(file)}"><img loading=lazy src="{html.escape(file)}" alt=""></a>'
            for file in files
        )
        parts.append(f"<h2>{html.escape(name)}</h2><div>{pictures}</div>")
    (target / "index.html").write_text("\n".join(parts))


if __name__ == "__main__":
    sys.exit(main())
