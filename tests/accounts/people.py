"""What tests of accounts do over and over: log in, read mails, compute codes."""

import base64
import hashlib
import hmac
import re
import struct
import time
from typing import Any

from django.core import mail
from django.test import Client
from django.urls import reverse

from arena.accounts.models import User
from arena.accounts.services import set_address
from tests.factories import make_user

PASSWORD = "brush-and-canvas"


def make_person(username: str = "alice", **fields: Any) -> User:
    """Make somebody with a password and a confirmed address."""
    user = make_user(username=username, password=PASSWORD, **fields)
    set_address(user, user.email)
    return user


def log_in(client: Client, login: str = "alice", password: str = PASSWORD, **more: str) -> Any:
    fields = {"login": login, "password": password, **more}
    return client.post(reverse("account_login"), fields)


def sign_up(client: Client, **fields: str) -> Any:
    defaults = {
        "username": "newcomer",
        "email": "newcomer@example.org",
        "password1": PASSWORD,
        "password2": PASSWORD,
    }
    return client.post(reverse("account_signup"), defaults | fields)


def confirm_it_is_me(client: Client) -> None:
    """Type the password once more, as pages that change how an account is guarded ask for."""
    response = client.post(reverse("account_reauthenticate"), {"password": PASSWORD})
    assert response.status_code == 302


def is_logged_in(client: Client) -> bool:
    return client.get(reverse("settings")).status_code == 200


def text_of(response: Any) -> str:
    text: str = response.content.decode()
    return text


def link_in_mail() -> str:
    """Return the path of the one link of the one mail that was sent, and forget the mail."""
    [sent] = mail.outbox
    mail.outbox.clear()
    found = re.search(r"https?://[^/\s]+(/accounts/\S+)", str(sent.body))
    assert found, sent.body
    return found[1]


def totp(secret: str) -> str:
    """Compute what an authenticator app shows now (RFC 6238)."""
    key = base64.b32decode(secret + "=" * (-len(secret) % 8))
    digest = hmac.new(key, struct.pack(">Q", int(time.time()) // 30), hashlib.sha1).digest()
    offset = digest[-1] & 0xF
    number = int.from_bytes(digest[offset : offset + 4]) & 0x7FFFFFFF
    return f"{number % 10**6:06}"


def switch_on_second_factor(client: Client) -> tuple[str, list[str]]:
    """Activate an authenticator app; return its secret and the recovery codes."""
    confirm_it_is_me(client)
    page = text_of(client.get(reverse("mfa_activate_totp")))
    found = re.search(r'id="totp-secret">([A-Z2-7]+)<', page)
    assert found
    secret = found[1]
    answer = client.post(reverse("mfa_activate_totp"), {"code": totp(secret)}, follow=True)
    shown = re.search(r'id="recovery-codes"[^>]*>([^<]+)<', text_of(answer))
    assert shown
    return secret, shown[1].split()
