"""Typed readers of the environment; a value that cannot be read stops the start with a reason."""

import os
import secrets
from pathlib import Path
from urllib.parse import quote, urlsplit


class BadSetting(Exception):
    """An environment variable holds something that cannot be used."""


def env_str(name: str, default: str = "") -> str:
    return os.environ.get(name, default)


def env_bool(name: str, default: bool) -> bool:
    text = os.environ.get(name)
    if text is None:
        return default
    if text.lower() in {"1", "true", "yes", "on"}:
        return True
    if text.lower() in {"0", "false", "no", "off", ""}:
        return False
    raise BadSetting(f"{name}={text!r}: write true or false")


def env_int(name: str, default: int) -> int:
    text = os.environ.get(name)
    if not text:  # `make` exports what is not set as an empty text
        return default
    try:
        return int(text)
    except ValueError:
        raise BadSetting(f"{name}={text!r}: write a whole number") from None


def env_list(name: str, default: list[str]) -> list[str]:
    text = os.environ.get(name)
    return default if text is None else [part.strip() for part in text.split(",") if part.strip()]


def env_secret(name: str, *, fallback: Path | None = None) -> str:
    """Read ``NAME``, or the file that ``NAME_FILE`` names, or ``fallback``, made on first use.

    With no fallback the answer is empty where nothing is set.

    A file that is named but cannot be read is an error, never a reason to make up a value.
    """
    if value := os.environ.get(name):
        return value
    if named := os.environ.get(f"{name}_FILE"):
        try:
            return Path(named).read_text().strip()
        except OSError as error:
            raise BadSetting(f"{name}_FILE={named!r}: {error.strerror}") from None
    return _read_or_make(fallback) if fallback else ""


def with_password(address: str, password: str) -> str:
    """Put a password into an address that has none."""
    parts = urlsplit(address)
    if not address or not password or parts.password:
        return address
    user, _, host = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{user}:{quote(password, safe='')}@{host}").geturl()


def _read_or_make(path: Path) -> str:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.touch(mode=0o600)
    draft.write_text(secrets.token_urlsafe(50))
    try:
        # link() fails when another process was first: both then read that one's secret.
        path.hardlink_to(draft)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    return path.read_text().strip()
