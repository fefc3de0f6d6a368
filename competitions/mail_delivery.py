"""Send the mails that wait. Any number of senders may do so at once; none waits for another.

A mail is claimed by one conditional update, then sent, then noted as sent. A sender that dies
after the mail server took a mail and before that is noted leaves the claim to run out, and the
mail is sent once more: twice rather than never. Its Message-ID is the same both times.
"""

import logging
import smtplib
import threading
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.mail import EmailMultiAlternatives, get_connection
from django.db import close_old_connections, connections
from django.db.models import F
from django.utils.timezone import now

from competitions.models import OutgoingMail

log = logging.getLogger(__name__)

# Between one attempt and the next; after the last one it is given up, on the third day.
PAUSES = tuple(
    timedelta(minutes=minutes) for minutes in (1, 5, 15, 60, 4 * 60, 12 * 60, 24 * 60, 24 * 60)
)
# Far longer than a server may take, whose every answer is awaited for EMAIL_TIMEOUT seconds.
CLAIMED_FOR = timedelta(minutes=10)
AT_ONCE = 50
PAUSE_WHEN_UNREACHABLE = timedelta(minutes=1)
# The server answers and says no to this mail; whatever else is wrong is so for every mail.
_ABOUT_ONE_MAIL = (
    smtplib.SMTPSenderRefused,
    smtplib.SMTPRecipientsRefused,
    smtplib.SMTPDataError,
)


@dataclass
class Delivery:
    """What one round did."""

    sent: int = 0
    failed: int = 0
    given_up: int = 0
    is_reachable: bool = True


def deliver_until(stopped: threading.Event) -> None:
    """Send what is due, again and again. Made for a thread: a slow server delays nothing else."""
    while not stopped.is_set():
        pause = settings.SWEEP_INTERVAL
        try:
            if not send_due().is_reachable:
                pause = max(pause, PAUSE_WHEN_UNREACHABLE)
        except Exception:  # whatever it is: a thread that ends would take all later mails with it
            log.exception("could not send mails; the next round tries again")
        close_old_connections()
        stopped.wait(pause.total_seconds())
    connections.close_all()


def send_due(limit: int = AT_ONCE) -> Delivery:
    """Send up to ``limit`` mails that are due, over one connection; stop if there is none."""
    done = Delivery()
    due = OutgoingMail.objects.due_at(now())
    waiting = list(due.order_by(F("not_before").asc(nulls_first=True), "pk")[:limit])
    if not waiting:
        return done
    connection = get_connection()
    try:
        for mail in waiting:
            if _claim(mail):
                _deliver(mail, connection, done)
            if not done.is_reachable:
                break
    finally:
        connection.close()
    return done


def _claim(mail: OutgoingMail) -> bool:
    """Take a mail for this sender; of several at once exactly one sees the row change."""
    unclaimed = OutgoingMail.objects.due_at(now()).filter(pk=mail.pk, attempts=mail.attempts)
    mail.attempts += 1
    return unclaimed.update(attempts=mail.attempts, not_before=now() + CLAIMED_FOR) == 1


def _deliver(mail: OutgoingMail, connection: Any, done: Delivery) -> None:
    try:
        message = EmailMultiAlternatives(
            mail.subject, mail.text, to=[mail.address], headers=mail.headers, connection=connection
        )
        if mail.html:
            message.attach_alternative(mail.html, "text/html")
        message.send()
    except (smtplib.SMTPException, OSError, ValueError) as error:
        _note_failure(mail, error, done)
    else:
        # Links in it are keys: once it is in a mailbox, it has no business here.
        _hold(mail).update(sent_at=now(), problem="", text="", html="", headers={})
        done.sent += 1


def _note_failure(mail: OutgoingMail, error: Exception, done: Delivery) -> None:
    reason = _reason(error)
    if _is_final(error) or mail.attempts > len(PAUSES):
        _hold(mail).update(given_up_at=now(), problem=reason)
        done.given_up += 1
        log.error("mail %s is given up after %s attempts: %s", mail.pk, mail.attempts, reason)
        return
    _hold(mail).update(not_before=now() + PAUSES[mail.attempts - 1], problem=reason)
    done.failed += 1
    done.is_reachable = isinstance(error, _ABOUT_ONE_MAIL)
    log.warning("mail %s can't be sent yet: %s", mail.pk, reason)


def _hold(mail: OutgoingMail) -> Any:
    """Keep the row only while it is still ours: a claim that ran out may be another's."""
    return OutgoingMail.objects.filter(pk=mail.pk, attempts=mail.attempts)


def _is_final(error: Exception) -> bool:
    """Say whether the same mail will never be taken: nobody there, or not a mail at all."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return all(code >= 500 for code, _ in error.recipients.values())
    if isinstance(error, smtplib.SMTPDataError):
        return error.smtp_code >= 500
    # A certificate that can't be trusted is a ValueError too, and an operator can mend it.
    return isinstance(error, ValueError) and not isinstance(error, OSError)


def _reason(error: Exception) -> str:
    said: bytes | str
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        code, said = next(iter(error.recipients.values()))
    elif isinstance(error, smtplib.SMTPResponseException):
        code, said = error.smtp_code, error.smtp_error
    else:
        return f"{type(error).__name__}: {error}"[:300]
    words = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
    return f"{code} {words}"[:300]
