"""The page that a participant submits on."""

import json
import math
from typing import cast
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.timezone import now
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.http import require_http_methods

from competitions.errors import (
    DomainError,
    Gone,
    Invalid,
    QuotaSpent,
    TooLarge,
    TooMany,
    Unavailable,
)
from competitions.models import Phase
from competitions.people import User
from submissions import services
from submissions.admission import Admission, admission_of
from submissions.forms import DEFAULTS, SubmitForm
from submissions.guard import Guard
from submissions.models import Submission, Upload
from submissions.throttles import UploadThrottle
from submissions.uploads.beginning import find
from submissions.uploads.pieces import explain


@csrf_exempt  # `_receive` is protected: looking for the token reads the body, past the guard
@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def submit(request: HttpRequest, phase_id: int) -> HttpResponse:
    """Show the form, or enter what was sent with it."""
    user = cast(User, request.user)
    visible = Phase.objects.visible_to(user).select_related("competition", "reference_set")
    phase = get_object_or_404(visible, pk=phase_id)
    admission = admission_of(user, phase, at=now())
    if request.method != "POST":
        return _page(request, phase, admission, SubmitForm(phase=phase))
    # Nothing has been read of the body yet: a file that can't be taken is not stored either.
    # An upload that is named in the address was counted when it began, and no other is taken.
    is_upload = "upload" in request.GET
    refusal = (None if is_upload else _throttle(request)) or admission.refusal
    guard = Guard(request, limit=0 if refusal or is_upload else phase.max_checkpoint_bytes)
    request.upload_handlers.insert(0, guard)
    try:
        return _receive(request, phase, admission, refusal, guard)
    except OSError as error:  # no room for what comes in: what was filled in is lost with it
        form = SubmitForm({}, phase=phase, is_file_held_back=True)
        return _refuse(request, phase, admission, form, explain(error))


@csrf_protect
def _receive(
    request: HttpRequest,
    phase: Phase,
    admission: Admission,
    refusal: DomainError | None,
    guard: Guard,
) -> HttpResponse:
    upload, missing = _find_upload(request)
    form = SubmitForm(
        request.POST,
        request.FILES,
        phase=phase,
        upload=upload,
        is_file_held_back=guard.has_stopped or missing is not None,
    )
    try:
        if problem := refusal or missing:
            raise problem
        if guard.has_stopped:
            raise _too_large(phase)
        if not form.is_valid():
            return _page(request, phase, admission, form, status=400)
        submission = _enter(request, phase, form)
    except DomainError as error:
        answer = _refuse(request, phase, admission, form, error)
        if missing is not None or error.code in {"upload_used", "upload_gone", "hash_mismatch"}:
            answer["X-Upload"] = "over"  # the browser is to send the file anew
        return answer
    messages.success(request, _("Your submission has arrived. Its check begins now."))
    if request.headers.get("X-Requested-With") == "XMLHttpRequest":
        return HttpResponse(status=201, headers={"Location": submission.get_absolute_url()})
    return redirect(submission)


def _find_upload(request: HttpRequest) -> tuple[Upload | None, DomainError | None]:
    """Return the upload that the address names, or what is wrong with it."""
    named = request.GET.get("upload")
    if named is None:
        return None, None
    try:
        return find(cast(User, request.user), UUID(named)), None
    except (ValueError, Upload.DoesNotExist):
        detail = _("There is no such upload of yours for this phase.")
        return None, Invalid("unknown_upload", detail)
    except Gone as error:
        return None, error


def _refuse(
    request: HttpRequest,
    phase: Phase,
    admission: Admission,
    form: SubmitForm,
    error: DomainError,
) -> HttpResponse:
    form.refuse(error)
    answer = _page(request, phase, admission, form, status=error.http_status)
    if wait := error.facts.get("wait_s"):
        answer["Retry-After"] = str(wait)
    return answer


def _enter(request: HttpRequest, phase: Phase, form: SubmitForm) -> Submission:
    try:
        return services.submit(
            by=cast(User, request.user),
            phase=phase,
            checkpoint=form.cleaned_data["checkpoint"],
            manifest=form.to_manifest(),
            hold=form.cleaned_data["hold"],
        )
    except (OperationalError, InterfaceError) as error:
        raise Unavailable(
            "database_unavailable",
            _("The database is busy or out of reach. Nothing was charged: try again in a minute."),
        ) from error


def _throttle(request: HttpRequest) -> TooMany | None:
    """Count this upload together with those over REST."""
    throttle = UploadThrottle()
    if throttle.allow_request(request, None):  # type: ignore[arg-type]
        return None
    wait = max(1, math.ceil(throttle.wait() or 1))
    detail = _("Too many uploads in a short time. Wait %(minutes)s min, then go on.")
    return TooMany("throttled", detail % {"minutes": math.ceil(wait / 60)}, wait_s=wait)


def _too_large(phase: Phase) -> TooLarge:
    return TooLarge("too_large", _("The file is larger than this phase takes."))


def _page(
    request: HttpRequest, phase: Phase, admission: Admission, form: SubmitForm, *, status: int = 200
) -> HttpResponse:
    if status == QuotaSpent.http_status:
        admission = admission_of(cast(User, request.user), phase, at=now())
    context = {
        "phase": phase,
        "competition": phase.competition,
        "admission": admission,
        "form": form,
        "defaults_json": json.dumps(DEFAULTS),
    }
    return render(request, "submissions/submit.html", context, status=status)
