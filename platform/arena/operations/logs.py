"""How every line of the logs looks, and what must not be in one.

Used by our own programs, by Celery and by the web server alike, before there are any settings.
"""

import json
import logging
import os
import re
from collections.abc import Mapping
from typing import Any

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from arena.env import BadSetting, env_str

FORMATS = ("text", "json")
HIDDEN = "[hidden]"
# Variables whose values are secrets, in themselves or in the file they name.
_SECRETS = (
    "ARENA_SECRET_KEY",
    "ARENA_SMTP_PASSWORD",
    "ARENA_METRICS_TOKEN",
    "ARENA_ADMIN_PASSWORD",
    "DATABASE_PASSWORD",
    "REDIS_PASSWORD",
    "AWS_SECRET_ACCESS_KEY",
)
_SHORTEST_SECRET = 6
_RULES = (
    # An address of a person; workers' names look like one and are none.
    (re.compile(r"(?<![\w.+%-])(?!(?:celery|checks|evaluation|gpu|private-\d+)@)"
                r"[\w.+%-]+@[\w-]+(?:\.[\w-]+)*\.[A-Za-z]{2,}"), "[address]"),
    (re.compile(r"(?<=://)[^/\s:@]*:[^/\s@]+(?=@)"), HIDDEN),  # name and password of an address
    (re.compile(r"(?i)\b(bearer|token|basic)\s+[\w.~+/=-]{12,}"), rf"\1 {HIDDEN}"),
    (re.compile(r"(?i)\b(password|secret|sessionid|csrftoken)(['\"]?\s*[=:]\s*)\S+"),
     rf"\1\2{HIDDEN}"),
    # Links that are as good as a log-in: invitations, confirmations, ends of mails. A UUID names.
    (re.compile(r"(?<=/)(?!(?:[0-9a-f]{4,12}-){4})(?=[\w:-]*\d)[A-Za-z0-9_:-]{20,}(?=/|\s|$)"),
     HIDDEN),
)  # fmt: skip


def log_format() -> str:
    name = env_str("ARENA_LOG_FORMAT") or "text"
    if name not in FORMATS:
        raise BadSetting(f"ARENA_LOG_FORMAT={name!r}: write {' or '.join(FORMATS)}")
    return name


def make_formatter() -> logging.Formatter:
    """Return what turns records of anybody's logger into lines; ``LOGGING`` names this."""
    # structlog comes without a type for the processors that stand in this place.
    render: Processor = _as_json if log_format() == "json" else _as_text
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.stdlib.ExtraAdder(allow=EXTRAS),
        ],
        processors=[
            _add_time,
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            _hide,
            render,
        ],
    )


# What a record may carry besides its words.
EXTRAS = ("method", "route", "status", "milliseconds")


def _add_time(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    record: logging.LogRecord = event["_record"]
    stamper = structlog.processors.TimeStamper(fmt="iso", utc=True, key="timestamp")
    event = stamper(_logger, _name, event)
    event["process"] = record.process
    return event


def _hide(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    secrets = _secrets()
    return {key: _without_secrets(value, secrets) for key, value in event.items()}


def _without_secrets(value: Any, secrets: list[str]) -> Any:
    if not isinstance(value, str):
        return value
    for secret in secrets:
        value = value.replace(secret, HIDDEN)
    for pattern, instead in _RULES:
        value = pattern.sub(instead, value)
    return value


def _secrets() -> list[str]:
    """Return the secrets that this process was given, as text that could be in a line."""
    given = [os.environ.get(name, "") for name in _SECRETS]
    return [text for text in {*given, *_READ} if len(text) >= _SHORTEST_SECRET]


_READ: set[str] = set()


def keep_out(*secrets: str) -> None:
    """Name secrets that were read from files."""
    _READ.update(secrets)


def _as_json(_logger: WrappedLogger, _name: str, event: EventDict) -> str:
    return json.dumps(_ordered(event), default=str, ensure_ascii=False)


def _as_text(_logger: WrappedLogger, _name: str, event: EventDict) -> str:
    shown = _ordered(event)
    time, level = shown.pop("timestamp"), shown.pop("level").upper()
    logger, words = shown.pop("logger"), shown.pop("event")
    trace = shown.pop("exception", "")
    shown.pop("process")
    facts = "".join(f" {key}={value}" for key, value in shown.items())
    return f"{time} {level} {logger}: {words}{facts}" + (f"\n{trace}" if trace else "")


def _ordered(event: EventDict) -> dict[str, Any]:
    """Put what every line has first."""
    first: Mapping[str, Any] = {
        key: event[key] for key in ("timestamp", "level", "logger", "event") if key in event
    }
    return {**first, **{key: value for key, value in event.items() if key not in first}}
