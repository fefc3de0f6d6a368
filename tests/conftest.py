"""What all tests share: private services, a browser, folders of their own, a sensible order."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from django.core.cache import cache
from pytest_django import Settings

from tests.object_storage import private_object_storage
from tests.services import private_postgres, private_redis

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ROOT = Path(__file__).resolve().parents[1]

if (ROOT / "platform" / "__init__.py").exists():
    pytest.exit("platform/__init__.py hides the standard library's platform: delete it", 3)

# Playwright's synchronous interface runs an event loop in the tests' thread, where Django would
# else refuse to touch the database.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"

# As workers have it. Threads that wait for each other spin, and beside the workers and browsers
# that tests start there are no cores to spare. Read when torch is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# The wheel of onnxruntime reads it when it is imported, by some tests before our own module.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

# Golden values and other quick tests first: what is broken shows early.
ORDER = (
    "styletransfer",
    "test_layout.py",
    "competitions",
    "submissions",
    "arena",
    "accounts",
    "api",
)
LAST = ("web", "test_supervisor.py", "test_launch.py", "end_to_end")

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM_FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=position)  # stable: within a folder the order stays


def position(item: pytest.Item) -> int:
    top = item.path.relative_to(ROOT / "tests").parts[0]
    if top in ORDER:
        return ORDER.index(top)
    return len(ORDER) + (1 + LAST.index(top) if top in LAST else 0)


@pytest.fixture(autouse=True)
def _own_media(settings: Settings, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path / "media"


@pytest.fixture(autouse=True)
def _own_attempts() -> None:
    """Forget how often earlier tests logged in: all of them come from one address."""
    cache.clear()


@pytest.fixture(autouse=True)
def _quick_passwords(settings: Settings) -> None:
    """Spare tests the half second that makes a stolen hash worthless."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(scope="session")
def real_inputs() -> Path:
    """Return the folder of generators and pictures made by others, or skip."""
    folder = os.environ.get("ARENA_REAL_INPUTS")
    if not folder:
        pytest.skip("ARENA_REAL_INPUTS names no folder with real generators and pictures")
    return Path(folder)


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    with private_postgres() as url:
        yield url


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    with private_redis() as url:
        yield url


@pytest.fixture(scope="session")
def s3_url() -> Iterator[str]:
    with private_object_storage() as url:
        yield url


@pytest.fixture(scope="session")
def chromium() -> Iterator["Browser"]:
    from playwright.sync_api import sync_playwright

    path = next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: "Browser") -> Iterator["Page"]:
    """Open a fresh browser session with a desktop's window."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900}, locale="en-US")
    page = context.new_page()
    page.set_default_timeout(15_000)
    yield page
    context.close()
