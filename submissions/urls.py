from django.urls import path

from submissions import views

urlpatterns = [
    path("submissions/", views.my_submissions, name="my-submissions"),
    path("phases/<int:phase_id>/submit/", views.submit, name="submit"),
]
