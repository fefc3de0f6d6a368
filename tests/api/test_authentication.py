from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils.timezone import now
from rest_framework.test import APIClient

from arena.accounts.models import ApiToken
from tests.factories import make_user

pytestmark = pytest.mark.django_db
COMPETITIONS = "/api/v1/competitions/"


def call_with(header: str) -> int:
    response = APIClient().get(COMPETITIONS, headers={"Authorization": header})
    if response.status_code == 401:
        assert response["Content-Type"] == "application/problem+json"
        assert response["WWW-Authenticate"].startswith("Token")
        assert response.json()["code"] == "bad_token"
    return response.status_code


def test_a_token_made_on_the_command_line_lets_its_user_in() -> None:
    user = make_user(username="ada")
    printed = StringIO()
    call_command("token", "ada", "--name", "laptop", stdout=printed)
    key = printed.getvalue().strip()
    assert "\n" not in key
    assert call_with(f"Token {key}") == 200
    token = user.api_tokens.get()
    assert token.name == "laptop"
    assert key not in str(vars(token))


def test_the_command_finds_a_user_by_e_mail_address_too() -> None:
    make_user(username="ada", email="ada@example.org")
    printed = StringIO()
    call_command("token", "Ada@Example.org", stdout=printed)
    assert call_with(f"Token {printed.getvalue().strip()}") == 200


def test_the_command_says_that_there_is_no_such_user() -> None:
    with pytest.raises(CommandError, match="nobody"):
        call_command("token", "nobody")


@pytest.mark.parametrize("header", ["Token", "Token a b", "Token wrong", "Token \xff\xfe"])
def test_a_token_that_is_none_is_refused_even_where_no_token_is_needed(header: str) -> None:
    assert call_with(header) == 401


def test_another_scheme_counts_as_no_token() -> None:
    assert call_with("Basic YTpi") == 200


def test_a_revoked_token_is_refused() -> None:
    token, key = ApiToken.issue(make_user(), name="lost laptop")
    token.revoked_at = now()
    token.save()
    assert call_with(f"Token {key}") == 401


def test_the_token_of_a_locked_account_is_refused() -> None:
    _token, key = ApiToken.issue(make_user(is_active=False), name="x")
    assert call_with(f"Token {key}") == 401


def test_the_use_of_a_token_is_noted_once_a_minute() -> None:
    token, key = ApiToken.issue(make_user(), name="x")
    call_with(f"Token {key}")
    token.refresh_from_db()
    first = token.last_used_at
    assert first is not None
    call_with(f"Token {key}")
    token.refresh_from_db()
    assert token.last_used_at == first
    ApiToken.objects.update(last_used_at=now() - timedelta(seconds=61))
    call_with(f"Token {key}")
    token.refresh_from_db()
    assert token.last_used_at is not None
    assert token.last_used_at >= first
