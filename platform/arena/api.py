"""Every address of the REST interface, below ``/api/v1/``."""

from typing import Any, NoReturn

from django.urls import include, path, re_path
from django.utils.translation import gettext_lazy as _
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.views import APIView

from competitions.api import CompetitionDetail, CompetitionList, Leaderboard, PhasePairs
from evaluation.api import CheckPicture, OutputPicture, SubmissionDetail
from submissions.api import (
    CancelSubmission,
    ChangeManifest,
    PhaseSubmissions,
    ReleaseSubmission,
)
from submissions.tus import OneUpload, PhaseUploads


class UnknownAddress(APIView):
    """Answer any other address in the interface's own form, whoever asks."""

    authentication_classes = []
    permission_classes = []

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> NoReturn:
        # Here, before the method is looked at: an address that isn't there has no methods.
        detail = _("There is no such address here. Every address ends with a slash.")
        raise NotFound(detail, code="unknown_address")


urlpatterns = [
    path("competitions/", CompetitionList.as_view(), name="api-competitions"),
    path("competitions/<slug:slug>/", CompetitionDetail.as_view(), name="api-competition"),
    path(
        "phases/<int:phase_id>/submissions/",
        PhaseSubmissions.as_view(),
        name="api-phase-submissions",
    ),
    path("phases/<int:phase_id>/uploads/", PhaseUploads.as_view(), name="api-phase-uploads"),
    path("uploads/<uuid:pk>/", OneUpload.as_view(), name="api-upload"),
    path("phases/<int:phase_id>/leaderboard/", Leaderboard.as_view(), name="api-leaderboard"),
    path("phases/<int:phase_id>/pairs/", PhasePairs.as_view(), name="api-phase-pairs"),
    path("submissions/<uuid:pk>/", SubmissionDetail.as_view(), name="api-submission"),
    path(
        "submissions/<uuid:pk>/manifest/",
        ChangeManifest.as_view(),
        name="api-submission-manifest",
    ),
    path(
        "submissions/<uuid:pk>/release/",
        ReleaseSubmission.as_view(),
        name="api-submission-release",
    ),
    path(
        "submissions/<uuid:pk>/check/<slug:which>.png",
        CheckPicture.as_view(),
        name="api-check-picture",
    ),
    path("submissions/<uuid:pk>/cancel/", CancelSubmission.as_view(), name="api-submission-cancel"),
    path(
        "submissions/<uuid:pk>/outputs/<int:position>/",
        OutputPicture.as_view(),
        name="api-output",
    ),
    path("workers/", include("evaluation.gateway.urls")),
    re_path("", UnknownAddress.as_view()),
]
