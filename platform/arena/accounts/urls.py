from django.urls import path, re_path

from arena.accounts import views
from arena.accounts.unsubscribe import unsubscribe

urlpatterns = [
    path("settings/", views.preferences, name="settings"),
    path("settings/tokens/", views.tokens, name="tokens"),
    path("settings/tokens/<int:pk>/revoke/", views.revoke_token, name="token-revoke"),
    path("settings/sessions/<int:pk>/end/", views.end_session, name="session-end"),
    path("unsubscribe/<str:token>/", unsubscribe, name="unsubscribe"),
    path("language/setlang/", views.choose_language, name="set_language"),
    # In front of allauth's own: the same views, guarded.
    path("accounts/signup/", views.signup, name="account_signup"),
    path("accounts/email/", views.email, name="account_email"),
    re_path(
        r"^accounts/confirm-email/(?P<key>[-:\w]+)/$",
        views.confirm_email,
        name="account_confirm_email",
    ),
]
