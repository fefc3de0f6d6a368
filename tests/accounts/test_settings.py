"""Settings, languages, time zones, tokens and sessions."""

import re
from html import unescape

import pytest
from allauth.usersessions.models import UserSession
from django.test import Client
from django.urls import reverse

from arena.accounts.models import ApiToken, User
from tests.accounts.people import is_logged_in, log_in, make_person, text_of
from tests.factories import make_phase

pytestmark = pytest.mark.django_db

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
SAFARI = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1"
)


@pytest.fixture
def alice(client: Client) -> User:
    user = make_person()
    log_in(client)
    return user


def save(client: Client, **fields: str) -> str:
    defaults = {"language": "", "time_zone": ""}
    return text_of(client.post(reverse("settings"), defaults | fields, follow=True))


def make_token(client: Client, name: str) -> str:
    """Make a token on the page; return its key, or "" where the page shows none."""
    page = text_of(client.post(reverse("tokens"), {"name": name}))
    found = re.search(r'id="token-key">([^<]+)<', page)
    return unescape(found[1]) if found else ""


def ask_api(key: str, phase_id: int) -> int:
    url = f"/api/v1/phases/{phase_id}/submissions/"
    return Client().get(url, headers={"authorization": f"Token {key}"}).status_code


def test_a_saved_language_takes_force_at_once_and_stays(client: Client, alice: User) -> None:
    page = save(client, language="zh-hans")
    assert 'lang="zh-hans"' in page
    assert "Your settings are saved." not in page
    # It wins over what the browser asks for, and the log-in page keeps it.
    assert 'lang="zh-hans"' in text_of(client.get("/", headers={"accept-language": "en"}))
    client.post(reverse("account_logout"))
    assert 'lang="zh-hans"' in text_of(client.get(reverse("account_login")))
    elsewhere = Client()
    log_in(elsewhere)
    assert 'lang="zh-hans"' in text_of(elsewhere.get("/"))


def test_without_a_choice_the_browser_is_asked(client: Client, alice: User) -> None:
    chinese = {"accept-language": "zh-CN,zh;q=0.9"}
    assert 'lang="zh-hans"' in text_of(client.get("/", headers=chinese))
    save(client, language="en")
    assert 'lang="en"' in text_of(client.get("/", headers=chinese))
    save(client, language="")
    assert 'lang="zh-hans"' in text_of(client.get("/", headers=chinese))


def test_the_switch_at_the_foot_of_a_page_saves_the_language(client: Client, alice: User) -> None:
    save(client, language="en")
    client.post(reverse("set_language"), {"language": "zh-hans", "next": "/"})
    alice.refresh_from_db()
    assert alice.language == "zh-hans"
    assert 'lang="zh-hans"' in text_of(client.get("/"))
    client.post(reverse("set_language"), {"language": "xx", "next": "/"})
    alice.refresh_from_db()
    assert alice.language == "zh-hans"


def test_the_switch_works_for_visitors_and_leads_nowhere_else(client: Client) -> None:
    answer = client.post(
        reverse("set_language"), {"language": "zh-hans", "next": "https://elsewhere.example/"}
    )
    assert answer.headers["Location"] == "/"
    assert 'lang="zh-hans"' in text_of(client.get("/"))


def test_a_time_zone_is_that_of_all_times_and_is_named(client: Client, alice: User) -> None:
    assert " UTC</time>" in text_of(client.get(reverse("settings")))
    save(client, time_zone="Asia/Shanghai")
    assert " UTC+8</time>" in text_of(client.get(reverse("settings")))
    # Another person's request in the same thread is not in it.
    make_person("bob")
    other = Client()
    log_in(other, "bob")
    assert " UTC</time>" in text_of(other.get(reverse("settings")))


def test_zones_are_listed_by_region_and_city_in_the_readers_language(
    client: Client, alice: User
) -> None:
    page = text_of(client.get(reverse("settings")))
    assert '<optgroup label="Europe">' in page
    assert '<option value="Asia/Shanghai">Shanghai (UTC+8)</option>' in page
    assert "US/Pacific" not in page
    assert "上海" in save(client, language="zh-hans")


@pytest.mark.parametrize(
    "fields",
    [{"time_zone": "Mars/Olympus"}, {"time_zone": "../etc/passwd"}, {"language": "xx"}],
)
def test_settings_take_no_other_values(client: Client, alice: User, fields: dict[str, str]) -> None:
    assert "Please look at the fields marked below." in save(client, **fields)
    alice.refresh_from_db()
    assert (alice.language, alice.time_zone) == ("", "")


def test_a_zone_that_is_no_longer_known_breaks_no_page(client: Client, alice: User) -> None:
    User.objects.update(time_zone="Asia/Atlantis", language="xx")
    assert client.get(reverse("settings")).status_code == 200


def test_mails_are_chosen_one_by_one(client: Client, alice: User) -> None:
    save(client, mail_announcements="on")
    alice.refresh_from_db()
    chosen = (alice.mail_submissions, alice.mail_announcements, alice.mail_invitations)
    assert chosen == (False, True, False)


def test_a_token_is_shown_once_and_only_its_hash_is_kept(client: Client, alice: User) -> None:
    phase = make_phase()
    key = make_token(client, "  my   laptop ")
    token = ApiToken.objects.get()
    assert (token.name, token.user) == ("my laptop", alice)
    assert token.key_sha256 == ApiToken.hash_key(key)
    again = client.get(reverse("tokens"))
    assert "my laptop" in text_of(again)
    assert key not in text_of(again)
    assert "no-store" in again.headers["Cache-Control"]
    assert ask_api(key, phase.pk) == 200
    assert "Never used" not in text_of(client.get(reverse("tokens")))


def test_a_revoked_token_is_refused(client: Client, alice: User) -> None:
    phase = make_phase()
    key, other = make_token(client, "laptop"), make_token(client, "server")
    token = ApiToken.objects.get(name="laptop")
    url = reverse("token-revoke", args=[token.pk])
    assert client.get(url).status_code == 405
    assert "is revoked" in text_of(client.post(url, follow=True))
    assert ask_api(key, phase.pk) == 401
    assert ask_api(other, phase.pk) == 200
    assert make_token(client, "laptop")  # the name is free again


def test_nobody_revokes_anothers_token(client: Client, alice: User) -> None:
    token, _key = ApiToken.issue(make_person("bob"), name="laptop")
    assert client.post(reverse("token-revoke", args=[token.pk])).status_code == 404
    assert ApiToken.objects.filter(revoked_at__isnull=True).count() == 1


@pytest.mark.parametrize("name", ["", "   ", "x" * 81, "laptop\u202etxt", "LAPTOP", "a\x00b"])
def test_names_of_tokens_are_checked(client: Client, alice: User, name: str) -> None:
    ApiToken.issue(alice, name="laptop")
    assert make_token(client, name) == ""
    assert ApiToken.objects.count() == 1


def test_twenty_tokens_are_enough(client: Client, alice: User) -> None:
    for number in range(20):
        ApiToken.issue(alice, name=str(number))
    assert make_token(client, "one more") == ""
    assert "Revoke one first." in text_of(client.post(reverse("tokens"), {"name": "one more"}))
    ApiToken.objects.first()
    client.post(reverse("token-revoke", args=[ApiToken.objects.earliest("pk").pk]))
    assert make_token(client, "one more")


def test_the_list_of_sessions_names_browsers_and_ends_another(client: Client, alice: User) -> None:
    phone = Client(headers={"user-agent": SAFARI}, REMOTE_ADDR="192.0.2.7")
    desk = Client(headers={"user-agent": FIREFOX})
    log_in(phone)
    log_in(desk)
    page = text_of(desk.get(reverse("usersessions_list")))
    assert "Safari on iOS" in page
    assert "192.0.2.7" in page
    assert page.count("This browser") == 1
    session = UserSession.objects.get(ip="192.0.2.7")
    assert "That session is ended." in text_of(
        desk.post(reverse("session-end", args=[session.pk]), follow=True)
    )
    assert not is_logged_in(phone)
    assert is_logged_in(desk)


def test_all_other_sessions_end_together(client: Client, alice: User) -> None:
    phone = Client()
    log_in(phone)
    client.post(reverse("usersessions_list"))
    assert is_logged_in(client)
    assert not is_logged_in(phone)


def test_nobody_ends_anothers_session(client: Client, alice: User) -> None:
    make_person("bob")
    other = Client()
    log_in(other, "bob")
    session = UserSession.objects.get(user__username="bob")
    assert client.post(reverse("session-end", args=[session.pk])).status_code == 404
    assert is_logged_in(other)


def test_a_new_password_ends_the_other_sessions(client: Client, alice: User) -> None:
    phone = Client()
    log_in(phone)
    new = "varnish-and-gesso"
    client.post(
        reverse("account_change_password"),
        {"oldpassword": "brush-and-canvas", "password1": new, "password2": new},
    )
    assert is_logged_in(client)
    assert not is_logged_in(phone)
