"""Every address of the site."""

from django.contrib import admin
from django.urls import include, path

from arena.accounts.views import LogIn, LogOut
from arena.health import healthz
from competitions import views as competitions
from evaluation import views as evaluation

submission = [
    path("", evaluation.submission, name="submission"),
    path("live/", evaluation.submission_live, name="submission-live"),
    path("cancel/", evaluation.submission_cancel, name="submission-cancel"),
    path("card.json", evaluation.score_card, name="score-card"),
    path("outputs/<int:position>.png", evaluation.output, name="output"),
]

urlpatterns = [
    path("api/v1/", include("arena.api")),
    path("", competitions.home, name="home"),
    path("competitions/<slug:slug>/", competitions.competition, name="competition"),
    path("phases/<int:phase_id>/board/", competitions.board, name="board"),
    path("references/<int:pk>.png", competitions.reference_image, name="reference-image"),
    path("submissions/<uuid:uuid>/", include(submission)),
    path("log-in/", LogIn.as_view(), name="log-in"),
    path("log-out/", LogOut.as_view(), name="log-out"),
    path("language/", include("django.conf.urls.i18n")),
    path("healthz", healthz, name="healthz"),
    path("admin/", admin.site.urls),
]

# For addresses below /api/ these answer with problem details, elsewhere with the usual pages.
handler400 = "arena.errors.bad_request"
handler403 = "arena.errors.permission_denied"
handler404 = "arena.errors.page_not_found"
handler500 = "arena.errors.server_error"
