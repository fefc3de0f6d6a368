"""Who administers accounts, and how the first administrator is made."""

import os
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from allauth.account.models import EmailAddress
from django.contrib.auth.models import Group, Permission
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import NoReverseMatch, reverse

from arena.accounts.models import ApiToken, User
from arena.accounts.services import make_organizers
from tests.accounts.people import (
    PASSWORD,
    is_logged_in,
    log_in,
    make_person,
    switch_on_second_factor,
    text_of,
)
from tests.conftest import ROOT

pytestmark = pytest.mark.django_db

MODELS = ("accounts_user", "accounts_apitoken", "auth_group")


@pytest.fixture
def administrator(client: Client) -> User:
    user = make_person("root-1", is_staff=True, is_superuser=True)
    log_in(client, "root-1")
    return user


def act(client: Client, page: str, action: str, *rows: User | ApiToken) -> str:
    chosen = {"action": action, "_selected_action": [row.pk for row in rows]}
    return text_of(client.post(reverse(f"admin:{page}_changelist"), chosen, follow=True))


def create(*arguments: str) -> str:
    said = StringIO()
    call_command("create_administrator", *arguments, stdout=said)
    return said.getvalue()


def test_accounts_are_out_of_reach_for_organizers_even_with_every_right(client: Client) -> None:
    person = make_person()
    make_organizers(User.objects.filter(pk=person.pk))
    Group.objects.get(name="Organizers").permissions.set(Permission.objects.all())
    log_in(client)
    assert client.get(reverse("admin:index")).status_code == 200
    index = text_of(client.get(reverse("admin:index")))
    for model in MODELS:
        assert client.get(reverse(f"admin:{model}_changelist")).status_code == 403
        assert reverse(f"admin:{model}_changelist") not in index
    assert client.get(reverse("admin:accounts_user_change", args=[person.pk])).status_code == 403


@pytest.mark.parametrize(
    "model", ["account_emailaddress", "mfa_authenticator", "usersessions_usersession"]
)
def test_what_allauth_keeps_has_no_page_in_the_admin(model: str) -> None:
    with pytest.raises(NoReverseMatch):
        reverse(f"admin:{model}_changelist")


def test_administrators_see_every_page_about_accounts(client: Client, administrator: User) -> None:
    ApiToken.issue(administrator, name="laptop")
    for model in MODELS:
        assert client.get(reverse(f"admin:{model}_changelist")).status_code == 200
    for name in ("accounts_user", "accounts_apitoken"):
        row = administrator if name == "accounts_user" else ApiToken.objects.get()
        assert client.get(reverse(f"admin:{name}_change", args=[row.pk])).status_code == 200
    assert client.get(reverse("admin:accounts_user_add")).status_code == 200


def test_people_are_made_organizers_and_dismissed(client: Client, administrator: User) -> None:
    person = make_person()
    assert "1 person may organize." in act(client, "accounts_user", "make_organizers", person)
    person.refresh_from_db()
    assert person.is_staff
    assert not person.is_superuser
    assert [group.name for group in person.groups.all()] == ["Organizers"]
    act(client, "accounts_user", "dismiss_organizers", person, administrator)
    person.refresh_from_db()
    assert not person.is_staff
    assert not person.groups.exists()
    administrator.refresh_from_db()
    assert administrator.is_staff


def test_an_administrator_revokes_tokens(client: Client, administrator: User) -> None:
    token, _key = ApiToken.issue(make_person(), name="laptop")
    assert "1 token is revoked." in act(client, "accounts_apitoken", "revoke", token)
    token.refresh_from_db()
    assert token.revoked_at is not None


def test_an_administrator_helps_who_lost_their_phone(client: Client, administrator: User) -> None:
    person, own = make_person(), Client()
    log_in(own)
    switch_on_second_factor(own)
    act(client, "accounts_user", "switch_off_second_factor", person)
    log_in(later := Client())
    assert is_logged_in(later)


def change_email(client: Client, user: User, email: str) -> str:
    url = reverse("admin:accounts_user_change", args=[user.pk])
    fields = {"username": user.username, "email": email, "is_active": "on"}
    inlines = {"emailaddress_set-TOTAL_FORMS": "0", "emailaddress_set-INITIAL_FORMS": "0"}
    return text_of(client.post(url, fields | inlines, follow=True))


def test_an_address_changed_in_the_admin_is_the_one_to_log_in_with(
    client: Client, administrator: User
) -> None:
    person = make_person()
    change_email(client, person, "New@Example.org")
    person.refresh_from_db()
    assert person.email == "new@example.org"
    primary = EmailAddress.objects.get(user=person, primary=True)
    assert (primary.email, primary.verified) == ("new@example.org", True)
    assert log_in(Client(), "new@example.org").status_code == 302


@pytest.mark.parametrize("email", ["bob@example.org", "BOB@example.org", "second@example.org"])
def test_the_admin_gives_nobody_anothers_address(
    client: Client, administrator: User, email: str
) -> None:
    person, bob = make_person(), make_person("bob")
    EmailAddress.objects.create(user=bob, email="second@example.org", verified=True)
    page = change_email(client, person, email)
    assert "Somebody has this e-mail address already." in page
    person.refresh_from_db()
    assert person.email == "alice@example.org"


def test_the_first_administrator_is_made_by_a_command(client: Client, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text(f"{PASSWORD}\n")
    arguments = ("chief", "Chief@Example.org", "--password-file", str(file))
    assert "is an administrator now" in create(*arguments)
    log_in(client, "chief@example.org")
    assert client.get(reverse("admin:index")).status_code == 200
    address = EmailAddress.objects.get()
    assert (address.email, address.verified, address.primary) == ("chief@example.org", True, True)
    assert "nothing changed" in create(*arguments)
    assert User.objects.count() == 1


def test_the_command_reads_the_password_from_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ARENA_ADMIN_PASSWORD", PASSWORD)
    create("chief", "chief@example.org")
    assert User.objects.get().check_password(PASSWORD)


@pytest.mark.parametrize(
    ("name", "email", "password", "said"),
    [
        ("chief", "chief@example.org", "short", "too short"),
        ("chief", "not-an-address", PASSWORD, "valid email"),
        ("a b", "chief@example.org", PASSWORD, "valid username"),
        ("chief", "ALICE@example.org", PASSWORD, "Somebody has this"),
        ("Alice", "chief@example.org", PASSWORD, "no administrator"),
    ],
)
def test_the_command_says_what_it_cannot_do(
    monkeypatch: pytest.MonkeyPatch, name: str, email: str, password: str, said: str
) -> None:
    make_person()
    monkeypatch.setenv("ARENA_ADMIN_PASSWORD", password)
    with pytest.raises(CommandError, match=said):
        create(name, email)
    assert not User.objects.filter(is_superuser=True).exists()


def test_the_command_does_not_wait_for_a_terminal_that_is_not_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("ARENA_ADMIN_PASSWORD", raising=False)
    monkeypatch.setattr("sys.stdin", StringIO())
    with pytest.raises(CommandError, match="nobody can be asked"):
        create("chief", "chief@example.org")


def read_settings(var: Path, *names: str, **env: str) -> list[str]:
    """Return settings as a process of its own reads them from its environment."""
    names_list = ", ".join(f"settings.{name}" for name in names)
    code = f"from django.conf import settings; print({names_list}, sep='\\n')"
    plain = {name: value for name, value in os.environ.items() if not name.startswith("ARENA_")}
    done = subprocess.run(
        [sys.executable, "manage.py", "shell", "--no-imports", "-c", code],
        cwd=ROOT,
        env={**plain, "ARENA_VAR": str(var), **env},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()


COOKIES = ("SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE", "LANGUAGE_COOKIE_SECURE")


@pytest.mark.parametrize(
    ("env", "is_secure"),
    [
        ({}, "False"),
        ({"ARENA_HOSTS": "arena.example.org"}, "True"),
        ({"ARENA_HOSTS": "arena.example.org", "ARENA_HTTPS": "0"}, "False"),
        ({"ARENA_HTTPS": "1"}, "True"),
    ],
)
def test_cookies_are_secure_wherever_the_site_is_not_on_loopback(
    tmp_path: Path, env: dict[str, str], is_secure: str
) -> None:
    assert read_settings(tmp_path, *COOKIES, **env) == [is_secure] * 3


def test_addresses_are_confirmed_where_mail_is_sent(tmp_path: Path) -> None:
    names = ("ACCOUNT_EMAIL_VERIFICATION", "MFA_ALLOW_UNVERIFIED_EMAIL")
    assert read_settings(tmp_path, *names) == ["none", "True"]
    with_server = read_settings(tmp_path, *names, ARENA_SMTP_HOST="mail.example.org")
    assert with_server == ["mandatory", "False"]


def test_cookies_that_a_secure_site_sets_say_so(client: Client, settings: object) -> None:
    for name in COOKIES:
        setattr(settings, name, True)
    make_person()
    log_in(client)
    client.post(reverse("set_language"), {"language": "en", "next": "/"})
    client.get(reverse("settings"))
    marked = {name: bool(cookie["secure"]) for name, cookie in client.cookies.items()}
    assert marked["sessionid"]
    assert marked["csrftoken"]
    assert marked["django_language"]
    assert client.cookies["sessionid"]["httponly"]
    assert client.cookies["sessionid"]["samesite"] == "Lax"
