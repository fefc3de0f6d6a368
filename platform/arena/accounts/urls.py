from django.urls import path

from arena.accounts import views

urlpatterns = [
    path("settings/", views.preferences, name="settings"),
    path("settings/tokens/", views.tokens, name="tokens"),
]
