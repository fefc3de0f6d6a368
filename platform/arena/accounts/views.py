"""Pages about one's own account that allauth does not bring, and guards around those it does."""

from collections.abc import Callable
from functools import wraps
from typing import Any, cast
from urllib.parse import urljoin

from allauth.account import views as account_views
from allauth.account.models import EmailAddress
from allauth.mfa.utils import is_mfa_enabled
from allauth.usersessions.models import UserSession
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.timezone import now
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_POST
from django.views.i18n import set_language

from arena.accounts import services
from arena.accounts.forms import PreferencesForm, TokenForm
from arena.accounts.models import ApiToken, User
from arena.accounts.preferences import keep_language, offered_codes, use_language

View = Callable[..., HttpResponseBase]


@login_required
def preferences(request: HttpRequest) -> HttpResponse:
    user = cast(User, request.user)
    form = PreferencesForm(request.POST or None, instance=user)
    if request.method == "POST" and form.is_valid():
        form.save()
        if user.language in offered_codes():
            use_language(request, user.language)  # the notice is read in the new language
        messages.success(request, _("Your settings are saved."))
        response = redirect("settings")
        if "language" in form.changed_data:
            keep_language(response, user.language)
        return response
    context = {
        "form": form,
        "at": now(),
        "address": EmailAddress.objects.filter(user=user, primary=True).first(),
        "has_second_factor": is_mfa_enabled(user),
        "token_count": _live_tokens(user).count(),
    }
    return render(request, "accounts/preferences.html", context)


@login_required
@never_cache
@sensitive_variables("key")
def tokens(request: HttpRequest) -> HttpResponse:
    """List tokens; make one and show its key in the answer itself, so that it is kept nowhere."""
    user = cast(User, request.user)
    form = TokenForm(request.POST or None, user=user)
    token, key = None, ""
    if request.method == "POST" and form.is_valid():
        token, key = ApiToken.issue(user, name=form.cleaned_data["name"])
        form = TokenForm(user=user)
    context = {
        "form": form,
        "token": token,
        "key": key,
        "api_url": urljoin(request.build_absolute_uri("/"), "api/v1/competitions/"),
        "tokens": _live_tokens(user).order_by("-pk"),
    }
    return render(request, "accounts/tokens.html", context)


@login_required
@require_POST
def revoke_token(request: HttpRequest, pk: int) -> HttpResponse:
    token = get_object_or_404(ApiToken, pk=pk, user=request.user)
    if services.revoke(ApiToken.objects.filter(pk=token.pk)):
        messages.success(request, _("The token “%(name)s” is revoked.") % {"name": token.name})
    return redirect("tokens")


@login_required
@require_POST
def end_session(request: HttpRequest, pk: int) -> HttpResponse:
    """Log out another browser; one's own has the log-out button."""
    session = get_object_or_404(UserSession, pk=pk, user=request.user)
    if session.session_key == request.session.session_key:
        return redirect("account_logout")
    session.end()
    messages.success(request, _("That session is ended."))
    return redirect("usersessions_list")


def choose_language(request: HttpRequest) -> HttpResponseBase:
    """Switch language; people who are logged in find it again wherever they log in next."""
    chosen = request.POST.get("language", "")
    if request.method == "POST" and request.user.is_authenticated and chosen in offered_codes():
        request.user.language = chosen
        request.user.save(update_fields=["language"])
    return set_language(request)


def guard_addresses(view: View) -> View:
    """Answer a name or address that somebody else has by now with words, not with an error.

    allauth looks before it writes; the database has the last word. What a view wrote until then
    is undone, so that the address it shows and the one it mails to stay the same.
    """

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **options: Any) -> HttpResponseBase:
        if request.method != "POST":
            return view(request, *args, **options)
        try:
            with transaction.atomic():
                return view(request, *args, **options)
        except IntegrityError:
            messages.error(request, _("Somebody else has this name or e-mail address by now."))
            return redirect("account_email" if request.user.is_authenticated else "account_signup")

    return guarded


signup = guard_addresses(account_views.signup)
email = guard_addresses(account_views.email)
confirm_email = guard_addresses(account_views.confirm_email)


def _live_tokens(user: User) -> Any:
    return ApiToken.objects.filter(user=user, revoked_at__isnull=True)
