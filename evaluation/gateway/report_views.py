"""What came of an attempt, as workers on other machines tell it."""

from collections.abc import Callable, Mapping
from tempfile import TemporaryFile
from typing import Any, BinaryIO

from django.conf import settings
from django.utils.translation import gettext_lazy as _
from rest_framework.parsers import BaseParser, JSONParser
from rest_framework.request import Request
from rest_framework.response import Response

from competitions.errors import Invalid, TooLarge
from competitions.models import Pair
from evaluation import services
from evaluation.assigning import describe
from evaluation.gateway import reports
from evaluation.gateway.access import (
    WorkerView,
    body_of,
    holding,
    lost,
    require_held,
    run_of,
)
from evaluation.models import EvaluationRun, Outcome

BLOCK_BYTES = 1 << 20


class AnyBody(BaseParser):
    """Leaves the body where it is: it is read bit by bit."""

    media_type = "application/zip"

    def parse(self, stream: Any, *_anything: Any) -> Any:
        return stream


class Report(WorkerView):
    """Take in what came of an attempt, once; the same report sent again changes nothing."""

    parser_classes = [JSONParser, AnyBody]

    def post(self, request: Request, pk: int, what: str) -> Response:
        run = run_of(request, pk)
        if run.outcome in _REPORTED[what]:  # the answer to the first time was lost
            return Response({"counts": True})
        if run.outcome != Outcome.RUNNING:
            raise lost()
        holding(run)
        counts = _REPORTS[what](run, request)
        if not counts:
            raise lost()
        return Response({"counts": True})


def _report_check(run: EvaluationRun, request: Request) -> bool:
    require_held(run)
    assignment = describe(run)
    if assignment.stage != "check":
        raise Invalid("bad_report", _("This attempt is no check."))
    with TemporaryFile(dir=settings.FILE_UPLOAD_TEMP_DIR) as file:
        archive = _receive(request, file, limit=reports.largest_archive(assignment))
        notes = reports.read_notes(archive.report.get("notes"))
        found = reports.read_check(archive, assignment)
    services.write_down(run, notes)
    return services.record_check_passed(run, first=found.first, proposal=found.proposal)


def _report_scores(run: EvaluationRun, request: Request) -> bool:
    require_held(run)
    assignment = describe(run)
    if assignment.stage != "score":
        raise Invalid("bad_report", _("This attempt is a check: there are no scores."))
    with TemporaryFile(dir=settings.FILE_UPLOAD_TEMP_DIR) as file:
        archive = _receive(request, file, limit=reports.largest_archive(assignment))
        notes = reports.read_notes(archive.report.get("notes"))
        card, pictures = reports.read_scores(archive, assignment)
    services.write_down(run, notes)
    pairs = list(Pair.objects.filter(reference_set=assignment.references.id).order_by("position"))
    return services.record_scores(run, card, pairs=pairs, pictures=pictures)


def _report_refusal(run: EvaluationRun, request: Request) -> bool:
    told = body_of(request)
    code, facts = reports.read_refusal(told)
    services.write_down(run, reports.read_notes(told.get("notes")))
    return services.record_refusal(run, code=code, facts=facts)


def _report_fault(run: EvaluationRun, request: Request) -> bool:
    told = body_of(request)
    reason = str(told.get("reason", ""))[:200]
    services.write_down(run, reports.read_notes(told.get("notes")))
    return services.record_fault(run, reason=reason)


def _report_stopped(run: EvaluationRun, request: Request) -> bool:
    services.write_down(run, reports.read_notes(body_of(request).get("notes")))
    services.record_stopped(run)
    return True


def _hand_back(run: EvaluationRun, request: Request) -> bool:
    services.write_down(run, reports.read_notes(body_of(request).get("notes")))
    services.hand_back(run)
    return True


_REPORTS: Mapping[str, Callable[[EvaluationRun, Request], bool]] = {
    "check": _report_check,
    "scores": _report_scores,
    "refusal": _report_refusal,
    "fault": _report_fault,
    "stopped": _report_stopped,
    "hand-back": _hand_back,
}
_REPORTED: Mapping[str, tuple[Outcome, ...]] = {
    "check": (Outcome.PASSED,),
    "scores": (Outcome.PASSED,),
    "refusal": (Outcome.REFUSED,),
    "fault": (Outcome.FAULT,),
    "stopped": (Outcome.STOPPED, Outcome.LOST),
    "hand-back": (Outcome.STOPPED, Outcome.LOST),
}


def _receive(request: Request, file: BinaryIO, *, limit: int) -> reports.Archive:
    """Write the body into ``file`` and open it, as soon as it is known to be small enough.

    Raises:
        TooLarge: it is larger than any report of this attempt.
    """
    told = request.META.get("CONTENT_LENGTH") or ""
    if not told.isdecimal():
        raise Invalid("bad_report", _("Say with Content-Length how long the report is."))
    if int(told) > limit:
        raise TooLarge("bad_report", _("The report is larger than it can be."), limit=limit)
    left = int(told)
    while left and (block := request._request.read(min(left, BLOCK_BYTES))):
        file.write(block)
        left -= len(block)
    if left:
        raise Invalid("bad_report", _("The report broke off: send it again."))
    file.seek(0)
    return reports.Archive(file)
