import logging
import signal
import threading
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import DatabaseError, InterfaceError, close_old_connections

from competitions.mail_delivery import deliver_until, send_due
from evaluation import signs_of_life
from evaluation.housekeeping import tidy, tidy_until
from evaluation.sweeper import sweep

log = logging.getLogger(__name__)
LAST_MAIL_S = 3.0


class Command(BaseCommand):
    help = "Bring back what was lost: submissions of dead workers, faults, messages. Send mails."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--once", action="store_true", help="sweep once and end")

    def handle(self, *args: Any, once: bool, **options: Any) -> None:
        stopped = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopped.set())
        sender = threading.Thread(target=deliver_until, args=[stopped], name="mails", daemon=True)
        tidier = threading.Thread(target=tidy_until, args=[stopped], name="tidying", daemon=True)
        if not once:
            sender.start()
            tidier.start()
        while not stopped.is_set():
            try:
                swept = sweep()
            except (DatabaseError, InterfaceError, OSError):
                if once:
                    raise
                log.exception("could not sweep; the next round tries again")
            else:
                if swept.lost or swept.retried:
                    log.info("swept: %s", swept)
            if once:
                send_due()
                tidy()
                return
            close_old_connections()
            signs_of_life.show()
            stopped.wait(settings.SWEEP_INTERVAL.total_seconds())
        # Time to note the mail that is being sent as sent, but not for a server that hangs.
        sender.join(LAST_MAIL_S)
