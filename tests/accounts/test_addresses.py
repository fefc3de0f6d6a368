"""E-mail addresses: one person each, whichever way somebody tries to have another's."""

import pytest
from allauth.account.models import EmailAddress
from django.core import mail
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from arena.accounts.models import User
from tests.accounts.people import (
    PASSWORD,
    confirm_it_is_me,
    is_logged_in,
    link_in_mail,
    log_in,
    make_person,
    sign_up,
    text_of,
)

MODES = ["none", "mandatory"]


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest, settings: Settings) -> str:
    settings.ACCOUNT_EMAIL_VERIFICATION = request.param
    return str(request.param)


@pytest.fixture
def alice(client: Client, transactional_db: None) -> User:
    user = make_person()
    log_in(client)
    confirm_it_is_me(client)
    return user


def manage(client: Client, action: str, email: str) -> str:
    url = reverse("account_email")
    answer = client.post(url, {f"action_{action}": "", "email": email}, follow=True)
    assert answer.status_code == 200
    return text_of(answer)


def primary_of(user: User) -> str:
    """Return somebody's primary address, which the account and allauth must agree on."""
    user.refresh_from_db()
    assert EmailAddress.objects.get(user=user, primary=True).email == user.email
    return user.email


@pytest.mark.parametrize("email", ["alice@example.org", "ALICE@EXAMPLE.ORG"])
def test_nobody_signs_up_with_anothers_address(
    client: Client, alice: User, mode: str, email: str
) -> None:
    mail.outbox.clear()
    stranger = Client()
    answer = sign_up(stranger, email=email)
    assert User.objects.count() == 1
    assert not is_logged_in(stranger)
    if mode == "mandatory":  # looks like any other sign-up; only who has the address is told
        assert answer.headers["Location"] == reverse("account_email_verification_sent")
        assert [sent.to for sent in mail.outbox] == [["alice@example.org"]]
    else:
        assert "already registered" in text_of(answer)


@pytest.mark.django_db
def test_an_account_that_no_page_made_keeps_its_address_too(client: Client, mode: str) -> None:
    User.objects.create_superuser("root-2", "Boss@Example.org", PASSWORD)
    sign_up(client, email="boss@example.org")
    assert User.objects.count() == 1


def test_a_new_address_becomes_the_primary_one_once_it_is_confirmed(
    client: Client, alice: User, settings: Settings
) -> None:
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"
    manage(client, "add", "New@Example.org")
    link = link_in_mail()
    assert "must be verified" in manage(client, "primary", "new@example.org")
    assert primary_of(alice) == "alice@example.org"
    client.post(link)
    mail.outbox.clear()
    manage(client, "primary", "new@example.org")
    assert primary_of(alice) == "new@example.org"
    assert [sent.to for sent in mail.outbox] == [["alice@example.org"]]
    manage(client, "remove", "alice@example.org")
    assert EmailAddress.objects.get(user=alice).email == "new@example.org"


@pytest.mark.parametrize("email", ["bob@example.org", "BOB@example.org"])
def test_anothers_address_never_becomes_ones_own(
    client: Client, alice: User, mode: str, email: str
) -> None:
    bob = make_person("bob")
    # Where nothing is confirmed, any of one's addresses may be made the primary one.
    EmailAddress.objects.update(verified=False)
    manage(client, "add", email)
    page = manage(client, "primary", email)
    assert "Somebody else has this name or e-mail address by now." in page
    assert primary_of(alice) == "alice@example.org"
    assert primary_of(bob) == "bob@example.org"


def test_the_primary_address_can_not_be_removed(client: Client, alice: User) -> None:
    assert "cannot remove" in manage(client, "remove", "alice@example.org")
    assert primary_of(alice) == "alice@example.org"


def test_changing_addresses_takes_the_password_once_more(transactional_db: None) -> None:
    client, user = Client(), make_person()
    log_in(client)
    session = client.session
    session["account_authentication_methods"] = []
    session.save()
    answer = client.post(reverse("account_email"), {"action_add": "", "email": "thief@example.org"})
    assert answer.headers["Location"].startswith(reverse("account_reauthenticate"))
    assert not EmailAddress.objects.filter(email="thief@example.org").exists()
    client.post(
        answer.headers["Location"], {"password": PASSWORD, "next": reverse("account_email")}
    )
    # It goes on with what it had stopped.
    assert EmailAddress.objects.filter(user=user, email="thief@example.org").exists()


def test_a_confirmed_address_is_not_confirmed_for_a_second_account(
    client: Client, alice: User, settings: Settings
) -> None:
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"
    bob = make_person("bob")
    manage(client, "add", "shared@example.org")
    link = link_in_mail()
    EmailAddress.objects.create(user=bob, email="shared@example.org", verified=True)
    assert "another account" in text_of(client.get(link))
    assert client.post(link).status_code in {200, 302}
    assert not EmailAddress.objects.get(user=alice, email="shared@example.org").verified


@pytest.mark.parametrize("taken", [{"email": "alice@example.org"}, {"username": "alice"}])
def test_who_is_second_by_a_moment_is_told(
    alice: User, mode: str, monkeypatch: pytest.MonkeyPatch, taken: dict[str, str]
) -> None:
    # Whoever looked a moment ago found both free.
    flows = "allauth.account.internal.flows.manage_email"
    monkeypatch.setattr(f"{flows}.email_already_exists", lambda email: (email, False))
    adapter = "arena.accounts.adapter.AccountAdapter"
    monkeypatch.setattr(f"{adapter}.clean_username", lambda _self, name: name)
    stranger = Client()
    answer = sign_up(stranger, **taken)
    page = text_of(stranger.get(answer.headers["Location"]))
    assert "Somebody else has this name or e-mail address by now." in page
    assert User.objects.count() == EmailAddress.objects.count() == 1
    assert not is_logged_in(stranger)
