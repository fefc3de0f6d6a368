"""What a team does with the first picture of its submission: change the manifest, or go on."""

from typing import Any, cast
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from competitions.errors import DomainError
from competitions.people import User
from submissions import describing, services
from submissions.models import Submission

# What a picture can look wrong by; names and architecture go by the whole manifest.
_EASY = ("input_range", "output_range", "channel_order")
_LARGEST_MANIFEST = 2**16


@require_POST
@login_required
def change(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """Check the same file again by another manifest, or by one with single fields changed."""
    found, user = _own(request, uuid)
    try:
        manifest = services.read_manifest(_changed(request, found))
        describing.change_manifest(found, manifest, by=user)
    except DomainError as error:
        messages.error(request, str(error.detail))
    else:
        messages.success(request, _("It is checked again, with what you changed."))
    return redirect(found)


@require_POST
@login_required
def release(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """Let a submission queue that waited for its team."""
    found, user = _own(request, uuid)
    try:
        describing.release(found, by=user)
    except DomainError as error:
        messages.error(request, str(error.detail))
    else:
        messages.success(request, _("It queues now."))
    return redirect(found)


def _own(request: HttpRequest, uuid: UUID) -> tuple[Submission, User]:
    user = cast(User, request.user)
    rows = Submission.objects.visible_to(user).filter(team__participants__user=user)
    rows = rows.select_related("team", "phase__competition")
    return get_object_or_404(rows, pk=uuid), user


def _changed(request: HttpRequest, submission: Submission) -> dict[str, Any] | str:
    if pasted := request.POST.get("manifest", "")[:_LARGEST_MANIFEST]:
        return pasted
    given: dict[str, Any] = {name: request.POST[name] for name in _EASY if name in request.POST}
    multiple = request.POST.get("multiple_of", "")
    if multiple.isdecimal():
        given["size"] = {"multiple_of": int(multiple)}
    return {**submission.manifest, **given}
