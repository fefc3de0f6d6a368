"""What a participant does with the form in a browser."""

from pathlib import Path
from typing import TYPE_CHECKING

from django.urls import reverse
from pytest_django.live_server_helper import LiveServer

if TYPE_CHECKING:
    from playwright.sync_api import Page

PASSWORD = "brush-and-canvas"


def log_in(page: "Page", live_server: LiveServer) -> None:
    page.goto(live_server.url + reverse("account_login"))
    page.locator("input[name=login]").fill("alice")
    page.locator("input[name=password]").fill(PASSWORD)
    page.locator("main button[type=submit]").first.click()
    page.get_by_role("link", name="My submissions").wait_for()


def choose(page: "Page", path: Path) -> None:
    page.get_by_label("Checkpoint").set_input_files(path)


def submit(page: "Page") -> None:
    page.get_by_role("button", name="Submit", exact=True).click()
