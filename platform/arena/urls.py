"""Every address of the site."""

from allauth.account.decorators import secure_admin_login
from django.contrib import admin
from django.urls import include, path

# Organizers log in like everybody: throttled, and with their second factor.
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]

urlpatterns = [
    path("api/v1/", include("arena.api")),
    path("", include("competitions.urls")),
    path("", include("submissions.urls")),
    path("", include("evaluation.urls")),
    path("", include("arena.accounts.urls")),
    path("accounts/", include("allauth.urls")),
    path("admin/", admin.site.urls),
]

# For addresses below /api/ these answer with problem details, elsewhere with the usual pages.
handler400 = "arena.errors.bad_request"
handler403 = "arena.errors.permission_denied"
handler404 = "arena.errors.page_not_found"
handler429 = "arena.errors.too_many_requests"
handler500 = "arena.errors.server_error"
