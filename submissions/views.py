"""Pages that a participant submits on and finds their submissions again."""

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render


@login_required
def my_submissions(request: HttpRequest) -> HttpResponse:
    return render(request, "submissions/my_submissions.html")


@login_required
def submit(request: HttpRequest, phase_id: int) -> HttpResponse:
    return render(request, "submissions/submit.html", {"phase_id": phase_id})
