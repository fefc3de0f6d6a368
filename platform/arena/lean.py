"""Keep a web process small: several run on a site for as long as it is up.

A small site has one environment for everything. What stands here is loaded by libraries because it
happens to be installed, is optional to them, and serves nothing here: together some 30 MB.
"""

import ctypes
import sys
from types import ModuleType

# By name: who would load it, and what for.
OPTIONAL = {
    "cryptography": "redis, for certificates of a server that we don't ask for",
    "django.contrib.postgres": "rest_framework, for fields that we have none of",
    "greenlet": "celery, for a kind of worker that we don't run",
    "pygments": "structlog and rest_framework, for colours in a terminal",
    "requests": "rest_framework, for a client of its own",
    "rich": "structlog, for tracebacks in a terminal",
    "yaml": "kombu, for a format that we don't accept",
}
# allauth loads its passkeys, and cryptography with them, where they are switched off as well. What
# asks for this module uses it only where they are on.
PASSKEYS = "allauth.mfa.webauthn.internal.auth"
_M_ARENA_MAX = -8


def leave_out() -> None:
    """Say of each that it isn't there, unless somebody loaded it before."""
    for name in OPTIONAL:
        # The language's own way to do so: `import` raises ModuleNotFoundError.
        sys.modules.setdefault(name, None)  # type: ignore[arg-type]
    sys.modules.setdefault(PASSKEYS, ModuleType(PASSKEYS))


def share_one_heap() -> None:
    """Have all threads take memory from one heap; each would keep for itself what it had once."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):  # glibc's
        libc.mallopt(_M_ARENA_MAX, 1)
