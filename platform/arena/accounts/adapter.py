"""What this site does otherwise than allauth: who a newcomer is, and mail that can't be sent."""

import logging
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.models import EmailAddress
from django.conf import settings
from django.contrib import messages
from django.core.mail import EmailMessage
from django.db import transaction
from django.http import HttpRequest
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from arena.accounts.models import User
from arena.accounts.preferences import offered_codes

log = logging.getLogger(__name__)


class AccountAdapter(DefaultAccountAdapter):
    def new_user(self, request: HttpRequest) -> User:
        """Remember the language somebody signs up in: mails have no browser to ask."""
        language = get_language()
        return User(language=language if language in offered_codes() else "")

    def can_delete_email(self, email_address: EmailAddress) -> bool:
        """Keep the primary address: without one nobody gets a new password."""
        return not email_address.primary and super().can_delete_email(email_address)

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Send once the change a mail tells of is stored; no lock is held for a mail server."""
        message = self.render_mail(template_prefix, email, self._with_request(email, context))
        transaction.on_commit(partial(self._deliver, message))

    def _with_request(self, email: str, context: dict[str, Any]) -> dict[str, Any]:
        host = urlsplit(settings.SITE_URL).netloc
        if self.request is not None:
            host = self.request.get_host()
        site = {"name": "StyleArena", "domain": host}
        return {"request": self.request, "email": email, "current_site": site} | context

    def _deliver(self, message: EmailMessage) -> None:
        try:
            message.send()
        except OSError:  # a mail server that is away or refuses; smtplib's errors among them
            log.exception("a mail about an account could not be sent")
            if self.request is not None:
                said = _("We could not send an e-mail just now. Try again in a few minutes.")
                messages.error(self.request, said)
