"""Every page of the site in one table: what is asked of all pages is asked of each of these.

``make screenshots`` takes their pictures, ``test_accessibility.py`` looks at them as people with
other eyes and hands do.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

from django.contrib import admin
from django.db.models import Model
from django.urls import reverse

from competitions.models import Competition
from evaluation.models import Worker
from submissions.models import Submission
from submissions.states import Status
from tests.web.scene import PASSWORD, Scene

if TYPE_CHECKING:
    from playwright.sync_api import Page

Act = Callable[["Page"], None]
_serial = count(1)


@dataclass(frozen=True)
class PageCase:
    """One page: where it is, who looks at it, and what they do there first."""

    name: str
    path: Callable[[Scene], str]
    who: str = "visitor"
    act: Act | None = None
    status: int = 200


# --- What people do before the page is as it is to be seen ---------------------------------------
def send_empty(page: "Page") -> None:
    """Send the page's form as it is, past the browser's own checks."""
    _send(page)
    page.locator(".field-error, .notice-error, .errornote").first.wait_for()


def send_wrong_log_in(page: "Page") -> None:
    _fill(page, login="mona", password="not it")
    send_empty(page)


def log_in_with_second_factor(page: "Page") -> None:
    _fill(page, login="matt", password=PASSWORD)
    _send(page)
    page.wait_for_url("**/2fa/authenticate/**")


def make_token(page: "Page") -> None:
    page.locator("main input[name=name]").fill(f"cluster-{next(_serial)}")
    _send(page, "main form:has(input[name=name])")
    page.locator("#token-key").wait_for()


def open_menu(page: "Page") -> None:
    page.locator("details.menu summary").click()


def open_lightbox(page: "Page") -> None:
    page.locator("#findings .gallery a").first.click()
    page.wait_for_timeout(600)


def search_for_nobody(page: "Page") -> None:
    page.locator("#board-search").fill("zzz")
    page.locator("#board-count").get_by_text("0").wait_for()


def _fill(page: "Page", **values: str) -> None:
    for name, value in values.items():
        page.locator(f"main [name={name}]").fill(value)


def _send(page: "Page", selector: str = "main form[method=post]") -> None:
    page.locator(selector).first.evaluate(
        "form => { form.noValidate = true; form.requestSubmit(); }"
    )


# --- Addresses -----------------------------------------------------------------------------------
def at(name: str, *arguments: object) -> Callable[[Scene], str]:
    return lambda _scene: reverse(name, args=arguments)


def of_competition(name: str) -> Callable[[Scene], str]:
    return lambda scene: reverse(name, args=[scene.competition.slug])


def of_phase(name: str, query: str = "") -> Callable[[Scene], str]:
    return lambda scene: reverse(name, args=[scene.phase.pk]) + query


def of_submission(which: str) -> Callable[[Scene], str]:
    return lambda scene: scene.submissions[which].get_absolute_url()


def straight(path: str) -> Callable[[Scene], str]:
    return lambda _scene: path


def _path_of(case: Callable[[Scene], Model]) -> Callable[[Scene], str]:
    return lambda scene: case(scene).get_absolute_url()  # type: ignore[attr-defined]


PUBLIC = [
    PageCase("home", at("home")),
    PageCase("home-none", lambda _scene: reverse("home") + "?state=closed"),
    PageCase("competition", of_competition("competition")),
    PageCase("competition-coming", _path_of(lambda scene: scene.coming)),
    PageCase("competition-hidden-pairs", _path_of(lambda scene: scene.hidden)),
    PageCase("board", of_phase("board")),
    PageCase("board-nobody-found", of_phase("board"), act=search_for_nobody),
    PageCase("board-empty", lambda scene: reverse("board", args=[scene.coming.pk])),
    PageCase("board-hidden-pairs", lambda scene: reverse("board", args=[scene.hidden.pk])),
    PageCase("submission-of-others", of_submission("scored")),
    PageCase("log-in", at("account_login")),
    PageCase("log-in-errors", at("account_login"), act=send_wrong_log_in),
    PageCase("log-in-second-factor", at("account_login"), act=log_in_with_second_factor),
    PageCase("sign-up", at("account_signup")),
    PageCase("sign-up-errors", at("account_signup"), act=send_empty),
    PageCase("password-reset", at("account_reset_password")),
    PageCase("password-reset-sent", at("account_reset_password_done")),
    PageCase("password-reset-bad-link", at("account_reset_password_from_key", "1", "bad-key")),
    PageCase("confirmation-sent", at("account_email_verification_sent")),
    PageCase("confirmation-bad-link", at("account_confirm_email", "bad-key")),
    PageCase("unsubscribe", lambda scene: scene.keys["unsubscribe"]),
]
ERRORS = [
    PageCase("error-400", straight("/errors/400/"), status=400),
    PageCase("error-403", straight("/errors/403/"), who="member", status=403),
    PageCase("error-403-form", straight("/errors/csrf/"), status=403),
    PageCase("error-404", straight("/nowhere/"), status=404),
    PageCase("error-429", straight("/errors/429/"), status=429),
    PageCase("error-500", straight("/errors/500/"), status=500),
]
TAKING_PART = [
    PageCase("competition-not-joined", of_competition("competition"), "newcomer"),
    PageCase("join", of_competition("join"), "newcomer"),
    PageCase("join-errors", of_competition("join"), "newcomer", send_empty),
    PageCase(
        "invitation",
        lambda scene: reverse("invitation", args=[scene.keys["invitation"]]),
        "newcomer",
    ),
    PageCase("my-submissions-none", at("my-submissions"), "newcomer"),
    PageCase("competition-joined", of_competition("competition"), "member"),
    PageCase("board-own", of_phase("board"), "member"),
    PageCase("team", of_competition("team"), "member"),
    PageCase("submit", of_phase("submit"), "member"),
    PageCase("submit-errors", of_phase("submit"), "member", send_empty),
    PageCase("my-submissions", at("my-submissions"), "member"),
    PageCase("menu", at("home"), "member", open_menu),
    PageCase("submission-scored", of_submission("scored"), "member"),
    *(
        PageCase(f"submission-{status}", of_submission(status), "member")
        for status in (
            Status.CHECKING,
            Status.QUEUED,
            Status.RUNNING,
            Status.REJECTED,
            Status.FAILED,
            Status.PLATFORM_FAULT,
            Status.CANCELLED,
        )
    ),
]
ACCOUNT = [
    PageCase("settings", at("settings"), "member"),
    PageCase("tokens", at("tokens"), "member"),
    PageCase("tokens-new", at("tokens"), "member", make_token),
    PageCase("tokens-none", at("tokens"), "newcomer"),
    PageCase("e-mail", at("account_email"), "member"),
    PageCase("password", at("account_change_password"), "member"),
    PageCase("password-errors", at("account_change_password"), "member", send_empty),
    PageCase("second-factor", at("mfa_index"), "member"),
    PageCase("second-factor-on", at("mfa_index"), "mate"),
    PageCase("second-factor-activate", at("mfa_activate_totp"), "member"),
    PageCase("second-factor-deactivate", at("mfa_deactivate_totp"), "mate"),
    PageCase("recovery-codes", at("mfa_view_recovery_codes"), "mate"),
    PageCase("recovery-codes-generate", at("mfa_generate_recovery_codes"), "mate"),
    PageCase("sessions", at("usersessions_list"), "member"),
    PageCase("reauthenticate", at("account_reauthenticate"), "member"),
    PageCase("log-out", at("account_logout"), "member"),
]


def of_references(name: str) -> Callable[[Scene], str]:
    """Return a page of the draft's reference set, which is still being prepared."""

    def path(scene: Scene) -> str:
        references = scene.draft.reference_sets.get()
        return reverse(f"admin:competitions_referenceset_{name}", args=[references.pk])

    return path


def banner_of(find: Callable[[Scene], Competition]) -> Callable[[Scene], str]:
    """Return the page of a competition's banner; the draft has one, the other has none."""

    def path(scene: Scene) -> str:
        return reverse("admin:competitions_competition_banner", args=[find(scene).pk])

    return path


ORGANIZING = [
    PageCase("admin-referenceset-upload", of_references("upload"), "organizer"),
    PageCase("admin-referenceset-upload-errors", of_references("upload"), "organizer", send_empty),
    PageCase("admin-referenceset-images", of_references("images"), "organizer"),
    PageCase("admin-competition-banner", banner_of(lambda scene: scene.draft), "organizer"),
    PageCase(
        "admin-competition-banner-errors",
        banner_of(lambda scene: scene.competition),
        "organizer",
        send_empty,
    ),
    PageCase("competition-draft", _path_of(lambda scene: scene.draft), "organizer"),
    PageCase("admin-log-in", at("admin:login")),
    PageCase("admin", at("admin:index"), "organizer"),
]


def _newest(model: type[Model]) -> Callable[[Scene], str]:
    label = f"{model._meta.app_label}_{model._meta.model_name}"

    def path(scene: Scene) -> str:
        newest = model._default_manager.order_by("-pk").first()
        assert newest is not None, f"add a {model.__name__} to the scene"
        if isinstance(newest, Submission):  # their keys are in no order
            newest = scene.submissions["scored"]
        return reverse(f"admin:{label}_change", args=[newest.pk])

    return path


def admin_pages() -> list[PageCase]:
    """List the pages of every kind of row that the admin shows: all, one, and a new one."""
    cases = []
    for model in sorted(admin.site._registry, key=lambda each: each._meta.label):
        label = f"{model._meta.app_label}_{model._meta.model_name}"
        name = f"admin-{model._meta.model_name}"
        for_organizers = model._meta.app_label in {"competitions", "submissions", "evaluation"}
        who = "organizer" if for_organizers and model is not Worker else "administrator"
        cases += [
            PageCase(f"{name}-list", at(f"admin:{label}_changelist"), who),
            PageCase(name, _newest(model), who),
        ]
    return cases


PAGES = [*PUBLIC, *ERRORS, *TAKING_PART, *ACCOUNT, *ORGANIZING]
