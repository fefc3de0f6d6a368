from django.urls import path

from submissions import change_views, views

urlpatterns = [
    path("phases/<int:phase_id>/submit/", views.submit, name="submit"),
    path("submissions/<uuid:uuid>/change/", change_views.change, name="submission-change"),
    path("submissions/<uuid:uuid>/release/", change_views.release, name="submission-release"),
]
