from django.urls import path

from arena.accounts import views
from arena.accounts.unsubscribe import unsubscribe

urlpatterns = [
    path("settings/", views.preferences, name="settings"),
    path("settings/tokens/", views.tokens, name="tokens"),
    path("unsubscribe/<str:token>/", unsubscribe, name="unsubscribe"),
]
