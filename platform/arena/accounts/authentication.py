"""Know a program by the token it sends: ``Authorization: Token <key>``."""

from datetime import timedelta

from django.contrib.auth.models import AbstractUser
from django.db.models import Q
from django.utils.timezone import now
from django.utils.translation import gettext_lazy as _
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from arena.accounts.models import ApiToken

STAMP_EVERY = timedelta(minutes=1)


class ApiTokenAuthentication(BaseAuthentication):
    keyword = "Token"

    def authenticate(self, request: Request) -> tuple[AbstractUser, ApiToken] | None:
        """Return who sent the request, or None if it carries no token at all.

        Raises:
            AuthenticationFailed: the token is unknown or revoked, or its owner may not log in.
        """
        words = get_authorization_header(request).split()
        if not words or words[0].lower() != self.keyword.lower().encode():
            return None
        if len(words) != 2:
            raise _refused()
        token = self._find(words[1])
        stamp(token)
        return token.user, token

    def authenticate_header(self, request: Request) -> str:
        return f'{self.keyword} realm="api"'

    @staticmethod
    def _find(key: bytes) -> ApiToken:
        key_sha256 = ApiToken.hash_key(key.decode("latin-1"))
        usable = ApiToken.objects.filter(revoked_at__isnull=True, user__is_active=True)
        token = usable.select_related("user").filter(key_sha256=key_sha256).first()
        if token is None:
            raise _refused()
        return token


def stamp(token: ApiToken) -> None:
    """Note that the token was used; at most once a minute, as every write locks SQLite."""
    at = now()
    if token.last_used_at is not None and token.last_used_at > at - STAMP_EVERY:
        return
    stale = Q(last_used_at__isnull=True) | Q(last_used_at__lte=at - STAMP_EVERY)
    ApiToken.objects.filter(stale, pk=token.pk).update(last_used_at=at)


def _refused() -> AuthenticationFailed:
    # One answer for all: it does not tell a revoked token from one that never was.
    detail = _("This token is not valid. Ask for a new one, and send: Authorization: Token <key>")
    return AuthenticationFailed(detail, code="bad_token")
