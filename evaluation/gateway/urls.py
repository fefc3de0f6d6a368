"""Addresses of workers on other machines, below ``/api/v1/workers/``."""

from django.urls import path, register_converter
from django.urls.converters import StringConverter

from evaluation.gateway import views
from evaluation.gateway.files import WorkerFile
from evaluation.gateway.report_views import Report


class ReportConverter(StringConverter):
    regex = "check|scores|refusal|fault|stopped|hand-back"


register_converter(ReportConverter, "report")

urlpatterns = [
    path("join/", views.Join.as_view(), name="api-worker-join"),
    path("beat/", views.Beat.as_view(), name="api-worker-beat"),
    path("claim/", views.Claim.as_view(), name="api-worker-claim"),
    path("runs/<int:pk>/renew/", views.Renew.as_view(), name="api-worker-renew"),
    path("runs/<int:pk>/files/", views.Files.as_view(), name="api-worker-files"),
    path("runs/<int:pk>/references/", views.References.as_view(), name="api-worker-references"),
    path("runs/<int:pk>/<report:what>/", Report.as_view(), name="api-worker-report"),
    path("files/<str:signed>/", WorkerFile.as_view(), name="api-worker-file"),
]
