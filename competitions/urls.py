from django.urls import path

from competitions import views

urlpatterns = [
    path("", views.home, name="home"),
    path("competitions/<slug:slug>/", views.competition, name="competition"),
    path("phases/<int:phase_id>/board/", views.board, name="board"),
    path("references/<int:pk>.png", views.reference_image, name="reference-image"),
    path("references/<int:pk>.webp", views.reference_thumbnail, name="reference-thumbnail"),
]
