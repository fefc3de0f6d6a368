from django.urls import path

from competitions import board_views, team_views, views

urlpatterns = [
    path("", views.home, name="home"),
    path("competitions/<slug:slug>/", views.competition, name="competition"),
    path("competitions/<slug:slug>/join/", team_views.join, name="join"),
    path("competitions/<slug:slug>/team/", team_views.team, name="team"),
    path("invitations/<str:key>/", team_views.invitation, name="invitation"),
    path("phases/<int:phase_id>/pairs.zip", views.pairs_zip, name="pairs-zip"),
    path("phases/<int:phase_id>/board/", board_views.board, name="board"),
    path("phases/<int:phase_id>/board.csv", board_views.board_csv, name="board-csv"),
    path("banners/<int:pk>.webp", views.banner, name="banner"),
    path("references/<int:pk>.png", views.reference_image, name="reference-image"),
    path("references/<int:pk>.webp", views.reference_thumbnail, name="reference-thumbnail"),
]
