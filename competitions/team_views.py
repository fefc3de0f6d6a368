"""Pages on which people join a competition, look after their team and accept an invitation."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.timezone import now
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from competitions import mail, policies, services, teams
from competitions.errors import DomainError
from competitions.forms import InviteForm, JoinForm, RenameForm, TermsForm, show
from competitions.models import Competition, Invitation, Team
from competitions.people import User
from competitions.standing import places_of, refusal_of

# Beside which field a refusal is shown; any other stands on top of the form.
FIELDS = {
    "team_name_taken": "team_name",
    "team_name_empty": "team_name",
    "terms_not_accepted": "accept_terms",
    "terms_changed": "accept_terms",
}


# --- Joining ------------------------------------------------------------------------------------
@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def join(request: HttpRequest, slug: str) -> HttpResponse:
    """Show the terms and let somebody enter, alone or as the first of a team."""
    found = _visible(request, slug)
    user = cast(User, request.user)
    if policies.team_of(user, found) is not None:
        return redirect(found)
    form = JoinForm(request.POST if request.method == "POST" else None, competition=found)
    refusal = refusal_of(user, found, at=now())
    if request.method == "POST" and refusal is None and form.is_valid():
        try:
            services.join(
                user, found, team_name=form.wanted_name, accepted_terms=form.accepted_terms
            )
        except DomainError as error:
            show(error, form, FIELDS)
        else:
            text = _("You take part in %(competition)s.") % {"competition": found.title}
            messages.success(request, text)
            return redirect(found)
    context = {"competition": found, "form": _with_present_terms(form), "refusal": refusal}
    return render(request, "competitions/join.html", context)


def _with_present_terms(form: TermsForm) -> TermsForm:
    """Let the form, shown again, stand for the terms that it now stands below."""
    if form.is_bound and form.terms_now != form.data.get("terms_sha256", ""):
        given = {name: value for name, value in form.data.items() if name != "accept_terms"}
        form.data = given | {"terms_sha256": form.terms_now}
    return form


def _visible(request: HttpRequest, slug: str) -> Competition:
    return get_object_or_404(Competition.objects.visible_to(request.user), slug=slug)


# --- A team -------------------------------------------------------------------------------------
@dataclass
class _TeamPage:
    """A team's page while a request is answered: its forms, and a new invitation to show."""

    request: HttpRequest
    user: User
    team: Team
    rename: RenameForm
    invite: InviteForm
    problem: DomainError | None = None
    link: str = ""
    mailed_to: str = ""

    def render(self) -> HttpResponse:
        team, competition, moment = self.team, self.team.competition, now()
        members = list(team.participants.select_related("user").order_by("joined_at", "pk"))
        context = {
            "page": self,
            "team": team,
            "competition": competition,
            "members": members,
            "is_full": len(members) >= competition.max_team_size,
            "invitations": list(team.invitations.open_at(moment).select_related("created_by")),
            "are_teams_open": competition.are_teams_open_at(moment),
            "refusal": refusal_of(self.user, competition, at=moment),
            "places": list(places_of(team)),
            "submissions": team.submissions.count(),
        }
        return render(self.request, "competitions/team.html", context)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def team(request: HttpRequest, slug: str) -> HttpResponse:
    """Show one's team; what is changed there is posted to the same address."""
    found = _visible(request, slug)
    user = cast(User, request.user)
    own = policies.team_of(user, found)
    if own is None:
        return redirect("join", slug=slug)
    own.competition = found
    page = _TeamPage(request, user, own, RenameForm(initial={"name": own.name}), InviteForm())
    if request.method != "POST":
        return page.render()
    act = _ACTS.get(request.POST.get("act", ""))
    answer = act(page) if act else None
    return answer or page.render()


def _rename(page: _TeamPage) -> HttpResponse | None:
    page.rename = form = RenameForm(page.request.POST)
    if not form.is_valid():
        return None
    try:
        teams.rename(page.team, by=page.user, name=form.cleaned_data["name"])
    except DomainError as error:
        page.team.refresh_from_db(fields=["name"])
        show(error, form, {"team_name_taken": "name", "team_name_empty": "name"})
        return None
    messages.success(page.request, _("The team has a new name."))
    return _back(page)


def _invite(page: _TeamPage) -> HttpResponse | None:
    """Make an invitation and show its link: here, in the answer, and never again."""
    page.invite = form = InviteForm(page.request.POST)
    if not form.is_valid():
        return None
    address = form.cleaned_data["email"]
    try:
        with transaction.atomic():
            invitation, key = teams.invite(page.team, by=page.user, email=address)
            path = reverse("invitation", args=[key])
            is_mailed = mail.invite(invitation, path)
    except DomainError as error:
        show(error, form, {})
        return None
    page.link = page.request.build_absolute_uri(path)
    page.mailed_to = address if is_mailed else ""
    page.invite = InviteForm()
    return None


def _revoke(page: _TeamPage) -> HttpResponse | None:
    number = page.request.POST.get("invitation", "")
    if number.isascii() and number.isdecimal() and len(number) < 19:  # as long as keys get
        teams.revoke(page.team, int(number), by=page.user)
        messages.success(page.request, _("The invitation is no longer valid."))
    return _back(page)


def _leave(page: _TeamPage) -> HttpResponse | None:
    try:
        teams.leave(page.team, by=page.user)
    except DomainError as error:
        page.problem = error
        return None
    text = _("You no longer take part in %(competition)s.")
    messages.success(page.request, text % {"competition": page.team.competition.title})
    return redirect(page.team.competition)


def _back(page: _TeamPage) -> HttpResponse:
    return redirect("team", slug=page.team.competition.slug)


_ACTS: dict[str, Callable[[_TeamPage], HttpResponse | None]] = {
    "rename": _rename,
    "invite": _invite,
    "revoke": _revoke,
    "leave": _leave,
}


# --- An invitation ------------------------------------------------------------------------------
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def invitation(request: HttpRequest, key: str) -> HttpResponse:
    """Show who invites to what; only who is logged in and presses the button is a member."""
    visible = Competition.objects.visible_to(request.user)
    found = get_object_or_404(
        Invitation.objects.select_related("team__competition", "created_by"),
        key_sha256=teams.hash_key(key),
        team__competition__in=visible,
    )
    competition = found.team.competition
    if request.method == "POST" and not request.user.is_authenticated:
        return redirect(f"{reverse('account_login')}?next={request.path}")
    own = policies.team_of(request.user, competition) if request.user.is_authenticated else None
    form = TermsForm(request.POST if request.method == "POST" else None, competition=competition)
    if own is not None:  # accepted when they joined: terms are asked for once
        form.fields.clear()
    refusal = _refusal(request, found)
    if request.method == "POST" and refusal is None and form.is_valid():
        try:
            user = cast(User, request.user)
            teams.accept(found, by=user, accepted_terms=form.accepted_terms)
        except DomainError as error:
            show(error, form, FIELDS)
        else:
            messages.success(request, _("You are in team %(team)s.") % {"team": found.team.name})
            return redirect("team", slug=competition.slug)
    context: dict[str, Any] = {
        "invitation": found,
        "team": found.team,
        "competition": competition,
        "members": list(found.team.participants.select_related("user").order_by("joined_at")),
        "own": own,
        "form": _with_present_terms(form),
        "refusal": refusal,
    }
    response = render(request, "competitions/invitation.html", context)
    response["X-Robots-Tag"] = "noindex"
    return response


def _refusal(request: HttpRequest, invitation: Invitation) -> DomainError | None:
    """Return why this invitation is no use to the viewer."""
    try:
        if request.user.is_authenticated:
            teams.require_can_accept(invitation, by=request.user)
        else:
            teams.require_usable(invitation)
            policies.require_open_to_entries(request.user, invitation.team.competition, at=now())
            teams.require_room(invitation.team)
    except DomainError as error:
        return error
    return None
