"""Every page of an account in a real browser: readable for all, in both languages and themes."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from allauth.account.models import EmailAddress, EmailConfirmationHMAC
from axe_playwright_python.sync_playwright import Axe
from django.urls import reverse
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer

from arena.accounts.models import ApiToken, User
from tests.accounts.people import PASSWORD, make_person, totp

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

WAYS = [(360, "light", "en-US"), (360, "dark", "zh-CN"), (1280, "dark", "en-US")]


@pytest.fixture(params=WAYS, ids=str)
def window(request: pytest.FixtureRequest, chromium: "Browser") -> Iterator["Page"]:
    width, scheme, locale = request.param
    context = chromium.new_context(
        viewport={"width": width, "height": 800}, color_scheme=scheme, locale=locale
    )
    page = context.new_page()
    page.set_default_timeout(15_000)
    yield page
    context.close()


@pytest.fixture
def complaints(window: "Page") -> Iterator[list[str]]:
    heard: list[str] = []
    window.on("console", lambda message: heard.append(message.text))
    window.on("pageerror", lambda error: heard.append(str(error)))
    yield heard
    assert heard == []


@pytest.fixture
def alice(live_server: LiveServer) -> User:
    user = make_person()
    EmailAddress.objects.create(user=user, email=f"{'long-' * 10}address@university.example")
    ApiToken.issue(user, name="A lab server with a rather long name, in the cellar of building 12")
    return user


def inspect(page: "Page") -> None:
    """Find fault with the page that is shown now."""
    found = Axe().run(page).response["violations"]
    assert [(each["id"], [node["html"] for node in each["nodes"]]) for each in found] == []
    assert page.locator("html").evaluate("page => page.scrollWidth - page.clientWidth") == 0
    assert page.locator("h1").count() == 1
    assert page.title().endswith(" · StyleArena")
    assert page.locator("main :focus-visible").count() <= 1


def press_main_button(page: "Page") -> None:
    page.locator("main form .btn-primary").first.click()


def log_in(page: "Page", live_server: LiveServer) -> None:
    page.goto(live_server.url + reverse("account_login"))
    page.locator("#id_login").fill("alice")
    page.locator("#id_password").fill(PASSWORD)
    press_main_button(page)


def test_pages_on_the_way_in(
    window: "Page", live_server: LiveServer, alice: User, complaints: list[str]
) -> None:
    unconfirmed = EmailAddress.objects.get(verified=False)
    confirmation = reverse("account_confirm_email", args=[EmailConfirmationHMAC(unconfirmed).key])
    addresses = [
        *map(reverse, ("account_login", "account_signup", "account_reset_password")),
        *map(reverse, ("account_reset_password_done", "account_inactive")),
        *map(reverse, ("account_email_verification_sent", "account_logout")),
        reverse("account_reset_password_from_key_done"),
        reverse("account_reset_password_from_key", args=["1", "none"]),
        confirmation,
        reverse("account_confirm_email", args=["none"]),
    ]
    for address in addresses:
        window.goto(live_server.url + address)
        inspect(window)


def test_forms_that_were_filled_in_wrongly(
    window: "Page", live_server: LiveServer, alice: User, complaints: list[str]
) -> None:
    window.goto(live_server.url + reverse("account_signup"))
    for field, text in {
        "username": "a b",
        "email": "alice@example.org",
        "password1": "short",
        "password2": "other",
    }.items():
        window.locator(f"#id_{field}").fill(text)
    press_main_button(window)
    inspect(window)
    assert window.locator("[aria-invalid=true]").count() == window.locator(".has-error").count() > 2
    window.goto(live_server.url + reverse("account_login"))
    window.locator("#id_login").fill("alice")
    window.locator("#id_password").fill("wrong")
    press_main_button(window)
    assert window.get_by_role("alert").count() == 1
    inspect(window)


def test_pages_of_an_account(
    window: "Page", live_server: LiveServer, alice: User, complaints: list[str]
) -> None:
    log_in(window, live_server)
    for name in (
        *("settings", "tokens", "account_email", "account_change_password"),
        *("account_reauthenticate", "mfa_index", "usersessions_list", "account_logout"),
    ):
        window.goto(live_server.url + reverse(name))
        inspect(window)
    window.goto(live_server.url + reverse("tokens"))
    window.locator("#id_name").fill("laptop")
    press_main_button(window)
    window.locator("#token-key").wait_for()
    inspect(window)


def test_pages_of_two_factor_log_in(
    window: "Page", live_server: LiveServer, alice: User, complaints: list[str]
) -> None:
    log_in(window, live_server)
    window.goto(live_server.url + reverse("account_reauthenticate"))
    window.locator("#id_password").fill(PASSWORD)
    press_main_button(window)
    window.goto(live_server.url + reverse("mfa_activate_totp"))
    EmailAddress.objects.filter(verified=False).delete()
    inspect(window)
    window.locator("#id_code").fill(totp(window.locator("#totp-secret").inner_text()))
    press_main_button(window)
    codes = window.locator("#recovery-codes").inner_text().split()
    assert len(codes) == 10
    inspect(window)
    for name in ("mfa_index", "mfa_generate_recovery_codes", "mfa_deactivate_totp"):
        window.goto(live_server.url + reverse(name))
        inspect(window)
    window.goto(live_server.url + reverse("mfa_reauthenticate"))
    inspect(window)
    window.context.clear_cookies()
    log_in(window, live_server)
    inspect(window)
    window.locator("#id_code").fill(codes[0])
    press_main_button(window)
    window.locator("summary", has_text="alice").wait_for()


def test_too_many_attempts_have_a_page_of_the_site(
    window: "Page", live_server: LiveServer, settings: Settings
) -> None:
    settings.ACCOUNT_RATE_LIMITS = {"login": "1/m/ip"}
    for _ in range(2):
        log_in(window, live_server)
    window.get_by_text("429").wait_for()
    inspect(window)


def test_a_key_is_copied_and_a_zone_offered(live_server: LiveServer, chromium: "Browser") -> None:
    make_person()
    context = chromium.new_context(timezone_id="Asia/Shanghai", locale="en-US")
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = context.new_page()
    log_in(page, live_server)
    page.goto(live_server.url + reverse("tokens"))
    page.locator("#id_name").fill("laptop")
    press_main_button(page)
    page.get_by_role("button", name="Copy").click()
    page.get_by_role("button", name="Copied").wait_for()
    key = page.locator("#token-key").inner_text()
    assert page.evaluate("navigator.clipboard.readText()") == key
    page.goto(live_server.url + reverse("settings"))
    page.get_by_role("button", name="Take this computer's: Shanghai").click()
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Your settings are saved.").wait_for()
    assert page.get_by_label("Time zone").input_value() == "Asia/Shanghai"
    assert page.get_by_text("UTC+8", exact=False).count() > 0
    assert page.get_by_role("button", name="Take this").count() == 0
    context.close()


def test_without_javascript_everything_can_be_done(
    live_server: LiveServer, chromium: "Browser"
) -> None:
    make_person()
    context = chromium.new_context(java_script_enabled=False, locale="en-US")
    page = context.new_page()
    log_in(page, live_server)
    page.goto(live_server.url + reverse("tokens"))
    page.locator("#id_name").fill("laptop")
    press_main_button(page)
    assert page.locator("#token-key").inner_text()
    assert page.get_by_role("button", name="Copy").count() == 0
    page.goto(live_server.url + reverse("account_email"))
    page.get_by_label("E-mail address").fill("second@example.org")
    page.get_by_role("button", name="Add", exact=True).click()
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Go on").click()
    page.get_by_text("second@example.org").first.wait_for()
    page.get_by_role("button", name="Remove second@example.org").click()
    page.get_by_text("Removed email address").wait_for()
    context.close()
