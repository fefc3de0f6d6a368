from django.urls import include, path

from evaluation import views

submission = [
    path("", views.submission, name="submission"),
    path("live/", views.submission_live, name="submission-live"),
    path("cancel/", views.submission_cancel, name="submission-cancel"),
    path("card.json", views.score_card, name="score-card"),
    path("outputs/<int:position>.png", views.output, name="output"),
]

urlpatterns = [path("submissions/<uuid:uuid>/", include(submission))]
