"""Two-factor log-in: an app, recovery codes, and no way around them."""

import pytest
from allauth.mfa.models import Authenticator
from django.core.cache import cache
from django.test import Client
from django.urls import reverse

from arena.accounts.models import User
from tests.accounts.people import (
    is_logged_in,
    log_in,
    make_person,
    switch_on_second_factor,
    text_of,
    totp,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def alice(client: Client) -> User:
    user = make_person(is_staff=True, is_superuser=True)
    log_in(client)
    return user


def type_code(client: Client, code: str) -> str:
    return text_of(client.post(reverse("mfa_authenticate"), {"code": code}, follow=True))


def test_the_code_of_the_app_is_asked_for_after_the_password(client: Client, alice: User) -> None:
    secret, _codes = switch_on_second_factor(client)
    cache.clear()  # a code is good once: the log-in below comes within the same half minute
    later = Client()
    assert log_in(later).headers["Location"].startswith(reverse("mfa_authenticate"))
    assert not is_logged_in(later)
    assert "Incorrect code" in type_code(later, "000000")
    assert not is_logged_in(later)
    type_code(later, totp(secret))
    assert is_logged_in(later)


def test_a_recovery_code_logs_in_once(client: Client, alice: User) -> None:
    _secret, codes = switch_on_second_factor(client)
    assert len(codes) == 10
    first, second = Client(), Client()
    log_in(first)
    type_code(first, codes[0])
    assert is_logged_in(first)
    log_in(second)
    assert "Incorrect code" in type_code(second, codes[0])
    assert not is_logged_in(second)
    assert "9 unused codes are left." in text_of(client.get(reverse("mfa_index")))


def test_the_secret_is_written_beside_its_picture(client: Client, alice: User) -> None:
    switch_on_second_factor(client)
    assert Authenticator.objects.filter(user=alice).count() == 2


def test_the_admin_is_no_way_around_the_second_factor(client: Client, alice: User) -> None:
    secret, _codes = switch_on_second_factor(client)
    cache.clear()
    later = Client()
    refused = later.get(reverse("admin:index"), follow=True)
    assert refused.redirect_chain[-1][0].startswith(reverse("account_login"))
    # Django's own form, which knows no second factor, is not there to be filled in.
    own = later.post(reverse("admin:login"), {"username": "alice", "password": "brush-and-canvas"})
    assert own.headers["Location"].startswith(reverse("account_login"))
    log_in(later)
    assert later.get(reverse("admin:index")).status_code == 302
    type_code(later, totp(secret))
    assert later.get(reverse("admin:index")).status_code == 200


def test_who_is_logged_in_but_no_staff_gets_no_log_in_form_in_the_admin(client: Client) -> None:
    make_person("bob")
    log_in(client, "bob")
    assert client.get(reverse("admin:index"), follow=True).status_code == 403


def test_switching_it_off_takes_the_password_and_voids_the_codes(
    client: Client, alice: User
) -> None:
    switch_on_second_factor(client)
    client.post(reverse("mfa_deactivate_totp"))
    assert not Authenticator.objects.filter(user=alice).exists()
    later = Client()
    log_in(later)
    assert is_logged_in(later)


def test_wrong_codes_are_counted(client: Client, alice: User) -> None:
    switch_on_second_factor(client)
    cache.clear()
    later = Client()
    log_in(later)
    answers = [type_code(later, "000000") for _ in range(6)]
    assert "Too many failed login attempts" in answers[-1]
