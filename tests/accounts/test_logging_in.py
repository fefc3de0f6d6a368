"""Signing up, logging in and out, and what happens to those who try too often."""

import re

import pytest
from django.core import mail
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from arena.accounts.models import User
from tests.accounts.people import (
    PASSWORD,
    is_logged_in,
    link_in_mail,
    log_in,
    make_person,
    sign_up,
    text_of,
)

pytestmark = pytest.mark.django_db(transaction=True)  # mails leave once a change is stored


@pytest.mark.parametrize("login", ["alice", "Alice", "alice@example.org", "ALICE@Example.org"])
def test_people_log_in_by_name_or_address_in_any_case(client: Client, login: str) -> None:
    make_person()
    assert log_in(client, login).headers["Location"] == reverse("home")
    assert is_logged_in(client)


def test_a_wrong_password_and_an_unknown_name_look_alike(client: Client) -> None:
    make_person()
    known, unknown = log_in(client, "alice", "wrong"), log_in(client, "nobody", "wrong")
    said = "The username and/or password you specified are not correct."
    assert said in text_of(known)
    assert said in text_of(unknown)
    assert not is_logged_in(client)


def test_logging_in_leads_where_one_wanted_to_go_but_never_off_the_site(client: Client) -> None:
    make_person()
    wanted = client.get(reverse("tokens"))
    assert wanted.headers["Location"] == f"{reverse('account_login')}?next={reverse('tokens')}"
    assert log_in(client, next=reverse("tokens")).headers["Location"] == reverse("tokens")
    away = log_in(Client(), next="https://elsewhere.example/")
    assert away.headers["Location"] == reverse("home")


def test_only_a_post_logs_out(client: Client) -> None:
    make_person()
    log_in(client)
    assert "Stay logged in" in text_of(client.get(reverse("account_logout")))
    assert is_logged_in(client)
    assert client.post(reverse("account_logout")).status_code == 302
    assert not is_logged_in(client)


def test_a_log_in_that_is_not_to_be_kept_ends_with_the_browser(client: Client) -> None:
    make_person()
    log_in(client)
    assert client.session.get_expire_at_browser_close()
    log_in(again := Client(), remember="on")
    assert not again.session.get_expire_at_browser_close()


def test_an_account_that_was_switched_off_says_so(client: Client) -> None:
    make_person(is_active=False)
    page = client.post(
        reverse("account_login"), {"login": "alice", "password": PASSWORD}, follow=True
    )
    assert "This account is closed" in text_of(page)
    assert not is_logged_in(client)


def test_signing_up_without_a_mail_server_logs_in_at_once(client: Client) -> None:
    assert sign_up(client).status_code == 302
    assert is_logged_in(client)
    user = User.objects.get(username="newcomer")
    assert user.email == "newcomer@example.org"
    assert user.language == "en"
    assert not user.is_staff


def test_with_a_mail_server_nobody_gets_in_before_they_confirmed(
    client: Client, settings: Settings
) -> None:
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"
    answer = sign_up(client)
    assert answer.headers["Location"] == reverse("account_email_verification_sent")
    assert not is_logged_in(client)
    link = link_in_mail()
    log_in(client, "newcomer")
    assert not is_logged_in(client)
    assert "Yes, confirm it" in text_of(client.get(link))
    client.post(link)
    log_in(client, "newcomer")
    assert is_logged_in(client)
    assert "expired or was used" in text_of(client.get(link))


@pytest.mark.parametrize(
    ("username", "said"),
    [
        ("a b", "no spaces"),
        ("victim@example.org", "no spaces"),
        ("x" * 41, "at most 40"),
        ("Admin", "can not be used"),
        ("ALICE", "already exists"),
        ("<script>", "no spaces"),
    ],
)
def test_names_that_mislead_or_are_taken_are_refused(
    client: Client, username: str, said: str
) -> None:
    make_person()
    page = text_of(sign_up(client, username=username))
    assert said in page
    assert "<script>alert" not in page
    assert not User.objects.filter(email="newcomer@example.org").exists()


@pytest.mark.parametrize(
    ("password", "said"),
    [("brush", "too short"), ("password", "too common"), ("newcomer", "too similar")],
)
def test_weak_passwords_are_refused(client: Client, password: str, said: str) -> None:
    assert said in text_of(sign_up(client, password1=password, password2=password))
    assert not User.objects.exists()


def test_a_forgotten_password_is_replaced_through_a_link_that_works_once(client: Client) -> None:
    make_person()
    client.post(reverse("account_reset_password"), {"email": "alice@example.org"})
    link = link_in_mail()
    form = client.get(link, follow=True)
    address = form.redirect_chain[-1][0]
    new = "varnish-and-gesso"
    assert client.post(address, {"password1": new, "password2": new}).status_code == 302
    assert "not correct" in text_of(log_in(Client()))
    assert log_in(Client(), password=new).status_code == 302
    assert "no longer good" in text_of(Client().get(link, follow=True))


def without_csrf_tokens(page: str) -> str:
    return re.sub(r'value="\w{64}"', "", page)


def test_asking_for_a_new_password_does_not_tell_who_has_an_account(client: Client) -> None:
    make_person()
    url = reverse("account_reset_password")
    known = client.post(url, {"email": "alice@example.org"}, follow=True)
    unknown = client.post(url, {"email": "nobody@example.org"}, follow=True)
    assert known.redirect_chain == unknown.redirect_chain
    assert without_csrf_tokens(text_of(known)) == without_csrf_tokens(text_of(unknown))


def test_five_wrong_passwords_close_a_name_for_a_while_to_that_visitor(client: Client) -> None:
    make_person()
    for _ in range(5):
        assert "not correct" in text_of(log_in(client, password="wrong"))
    assert "Too many failed login attempts" in text_of(log_in(client))
    assert not is_logged_in(client)


@pytest.mark.parametrize(
    ("address", "allowed"),
    [("account_login", 30), ("account_signup", 20), ("account_reset_password", 20)],
)
def test_too_many_attempts_from_one_address_get_a_page_that_says_when_to_return(
    client: Client, address: str, allowed: int
) -> None:
    for number in range(allowed):
        assert client.post(reverse(address), {"email": f"{number}@e.org"}).status_code in {200, 302}
    stopped = client.post(reverse(address), {"email": "again@e.org"})
    assert stopped.status_code == 429
    assert stopped.headers["Retry-After"] == "60"
    assert "Wait a minute" in text_of(stopped)
    assert "Too many attempts · StyleArena" in text_of(stopped)
    elsewhere = client.post(reverse(address), {"email": "x@e.org"}, REMOTE_ADDR="192.0.2.1")
    assert elsewhere.status_code in {200, 302}


def test_behind_a_proxy_visitors_are_told_apart_by_what_it_reports(
    client: Client, settings: Settings
) -> None:
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = 1
    url = reverse("account_login")
    for number in range(30):
        # What a visitor writes into the header themselves stands left of what the proxy adds.
        client.post(url, {}, headers={"x-forwarded-for": f"10.0.0.{number}, 192.0.2.1"})
    tricky = client.post(url, {}, headers={"x-forwarded-for": "10.1.1.1, 192.0.2.1"})
    assert tricky.status_code == 429
    other = client.post(url, {}, headers={"x-forwarded-for": "192.0.2.1, 192.0.2.2"})
    assert other.status_code == 200


def test_a_mail_server_that_is_away_is_no_error_page(client: Client, settings: Settings) -> None:
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 9
    answer = client.get(sign_up(client).headers["Location"])
    assert answer.status_code == 200
    assert "could not send an e-mail just now" in text_of(answer)
    assert User.objects.filter(username="newcomer").exists()


def test_a_change_is_mailed_to_its_owner_with_time_zone_and_browser(client: Client) -> None:
    make_person(time_zone="Asia/Shanghai")
    log_in(client)
    new = {"oldpassword": PASSWORD, "password1": "varnish-and-gesso"}
    client.post(
        reverse("account_change_password"),
        new | {"password2": "varnish-and-gesso"},
        headers={"user-agent": "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/140.0"},
    )
    [sent] = mail.outbox
    assert sent.to == ["alice@example.org"]
    assert sent.subject == "StyleArena: Password Changed"
    assert re.search(r"from Firefox on Linux, address 127\.0\.0\.1, .* UTC\+8\.", str(sent.body))
    assert f"http://testserver{reverse('usersessions_list')}" in sent.body
