"""Names for annotations: who acts. Accounts stand above competitions and are not imported here."""

from typing import TYPE_CHECKING, TypeAlias

from django.contrib.auth.models import AnonymousUser

if TYPE_CHECKING:
    from arena.accounts.models import User
else:
    from django.contrib.auth.models import AbstractUser as User

Viewer: TypeAlias = User | AnonymousUser

__all__ = ["User", "Viewer"]
