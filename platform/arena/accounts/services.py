"""What changes an account apart from allauth's own pages."""

from typing import Any

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.contrib.auth.models import Group
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.utils.timezone import now
from django.utils.translation import gettext as _

from arena.accounts.models import ApiToken, User
from competitions.policies import ORGANIZERS


def require_free_address(email: str, *, user: User) -> None:
    """Make sure that nobody else has confirmed an address, be it their primary one or not.

    Raises:
        ValidationError: somebody has.
    """
    taken = EmailAddress.objects.filter(email=email.lower(), verified=True)
    if email and taken.exclude(user_id=user.pk).exists():
        raise ValidationError(_("Somebody has this e-mail address already."))


@transaction.atomic
def create_administrator(*, username: str, email: str, password: str) -> User:
    """Make somebody who may do everything, with an address that needs no confirmation.

    Raises:
        ValidationError: a value can't be used, or somebody has the name or address.
    """
    user = User(username=username, email=email, is_staff=True, is_superuser=True)
    validate_password(password, user)
    user.set_password(password)
    user.full_clean()
    require_free_address(user.email, user=user)
    user.save()
    set_address(user, user.email)
    return user


@transaction.atomic
def set_address(user: User, email: str) -> None:
    """Make an address somebody's confirmed, primary one; "" leaves them none that is primary."""
    user.email = email.lower()
    user.save(update_fields=["email"])
    addresses = EmailAddress.objects.filter(user=user)
    addresses.filter(primary=True).exclude(email=user.email).update(primary=False)
    if user.email:
        fields: dict[str, Any] = {"verified": True, "primary": True}
        EmailAddress.objects.update_or_create(user=user, email=user.email, defaults=fields)


@transaction.atomic
def make_organizers(users: QuerySet[User]) -> int:
    """Let people into the admin, to what their own competitions contain."""
    group, _made = Group.objects.get_or_create(name=ORGANIZERS)
    chosen = list(users)
    for user in chosen:
        user.groups.add(group)
    return users.filter(pk__in=[user.pk for user in chosen]).update(is_staff=True)


@transaction.atomic
def dismiss_organizers(users: QuerySet[User]) -> int:
    """Take the admin from people again; administrators keep it."""
    chosen = [user.pk for user in users.filter(is_superuser=False)]
    for group in Group.objects.filter(name=ORGANIZERS):
        group.user_set.remove(*chosen)
    return User.objects.filter(pk__in=chosen).update(is_staff=False)


def switch_off_second_factor(user: User) -> bool:
    """Let somebody who lost their codes log in by password alone; return whether they had any."""
    deleted, _by_model = Authenticator.objects.filter(user=user).delete()
    return bool(deleted)


def revoke(tokens: QuerySet[ApiToken]) -> int:
    """End tokens; return how many were in force until now."""
    return tokens.filter(revoked_at__isnull=True).update(revoked_at=now())
