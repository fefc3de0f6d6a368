import os
import warnings
from typing import Any

from celery import Celery
from celery.signals import setup_logging
from kombu.transport import TRANSPORT_ALIASES

TRANSPORT_ALIASES["filesystem"] = "arena.broker:Transport"
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "arena.settings")
app = Celery("arena")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@setup_logging.connect
def _leave_logging_to_django(**_kwargs: Any) -> None:
    """Keep Celery from formats of its own: whoever listens to this signal has seen to it."""


# Generators never run as the worker's user: the sandbox drops to one made for it. What else runs
# here is our own code, and messages are JSON, not pickles.
warnings.filterwarnings("ignore", message="(?s).*superuser privileges")
