from django.urls import include, path, re_path

from evaluation import my_submissions, views

submission = [
    path("", views.submission, name="submission"),
    path("live/", views.submission_live, name="submission-live"),
    path("cancel/", views.submission_cancel, name="submission-cancel"),
    re_path(
        r"^check/(?P<which>content|style|picture)\.png$", views.check_picture, name="check-picture"
    ),
    path("card.json", views.score_card, name="score-card"),
    path("log.txt", views.submission_log, name="submission-log"),
    path("outputs/<int:position>.png", views.output, name="output"),
    path("outputs/<int:position>.webp", views.output_thumbnail, name="output-thumbnail"),
]

urlpatterns = [
    path("submissions/", my_submissions.my_submissions, name="my-submissions"),
    path("score-card.schema.json", views.score_card_schema, name="score-card-schema"),
    path("submissions/<uuid:uuid>/", include(submission)),
]
