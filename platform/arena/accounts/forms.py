"""The forms of an account: allauth's in this site's words, and those it does not bring."""

import unicodedata
from collections.abc import Mapping
from typing import Any, ClassVar

from allauth.account import forms as account_forms
from allauth.mfa.base import forms as mfa_forms
from allauth.mfa.totp import forms as totp_forms
from django import forms
from django.conf import settings
from django.core.validators import MaxLengthValidator, RegexValidator
from django.utils.timezone import get_default_timezone_name
from django.utils.translation import get_language, get_language_info
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from arena.accounts.models import ApiToken, User
from arena.accounts.preferences import offered_codes
from arena.accounts.zones import zone_choices

# An "@" would let somebody take another's e-mail address as their name.
username_validators = [
    RegexValidator(
        r"^[\w.+-]+\Z", _lazy("Use letters, digits and the characters . + - _ and no spaces.")
    ),
    MaxLengthValidator(40),
]

_NEW_PASSWORD = {
    "password1": _lazy("New password"),
    "password2": _lazy("New password, once more"),
}


class PlainFields:
    """Take labels for what they are: no placeholder repeats them, some are worded our way."""

    labels: ClassVar[Mapping[str, Any]] = {}
    fields: dict[str, forms.Field]

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        for name, field in self.fields.items():
            field.widget.attrs.pop("placeholder", None)
            if name in self.labels:
                field.label = self.labels[name]


class LoginForm(PlainFields, account_forms.LoginForm):
    labels = {
        "login": _lazy("Username or e-mail address"),
        "remember": _lazy("Keep me logged in on this device"),
    }

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["login"].widget.attrs |= {"autocomplete": "username", "autocapitalize": "none"}


class SignupForm(PlainFields, account_forms.SignupForm):
    labels = {"email": _lazy("E-mail address"), "password2": _lazy("Password, once more")}

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["username"].help_text = _("Boards and other teams show it.")
        self.fields["username"].widget.attrs["autocapitalize"] = "none"


class AddEmailForm(PlainFields, account_forms.AddEmailForm):
    labels = {"email": _lazy("E-mail address")}


class ChangePasswordForm(PlainFields, account_forms.ChangePasswordForm):
    labels = {"oldpassword": _lazy("Present password"), **_NEW_PASSWORD}


class SetPasswordForm(PlainFields, account_forms.SetPasswordForm):
    labels = _NEW_PASSWORD


class ResetPasswordForm(PlainFields, account_forms.ResetPasswordForm):
    labels = {"email": _lazy("E-mail address")}


class ResetPasswordKeyForm(PlainFields, account_forms.ResetPasswordKeyForm):
    labels = _NEW_PASSWORD


class ReauthenticateForm(PlainFields, account_forms.ReauthenticateForm):
    pass


class AuthenticateForm(PlainFields, mfa_forms.AuthenticateForm):
    labels = {"code": _lazy("Code")}


class ReauthenticateByCodeForm(PlainFields, mfa_forms.ReauthenticateForm):
    labels = {"code": _lazy("Code")}


class ActivateTotpForm(PlainFields, totp_forms.ActivateTOTPForm):
    labels = {"code": _lazy("Code that the app shows now")}

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["code"].widget.attrs["inputmode"] = "numeric"


class DefaultChoiceField(forms.ChoiceField):
    """A choice with a default, stored as "": one of the answers, not the lack of one."""

    empty_values = [None]


class PreferencesForm(forms.ModelForm[User]):
    """How the site speaks to somebody, and what it writes to them about."""

    use_required_attribute = False  # browsers take "" for no answer
    language = DefaultChoiceField(label=_lazy("Language"))
    time_zone = DefaultChoiceField(label=_lazy("Time zone"))

    class Meta:
        model = User
        fields = (
            "language",
            "time_zone",
            "mail_submissions",
            "mail_announcements",
            "mail_invitations",
            "mail_operations",
        )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if not self.instance.is_staff:
            del self.fields["mail_operations"]
        offered = sorted(offered_codes())
        if len(offered) > 1:
            names = [(code, get_language_info(code)["name_local"]) for code in offered]
            self._choose("language", [("", _("As my browser asks")), *names])
        else:
            del self.fields["language"]
        zones: list[Any] = list(zone_choices(get_language() or settings.LANGUAGE_CODE))
        own = self.instance.time_zone
        if own and not any(own == name for _region, group in zones for name, _label in group):
            zones.insert(0, (own, own))  # an old name that still works is no error
        site_zone = _("The site's: %(zone)s") % {"zone": get_default_timezone_name()}
        self._choose("time_zone", [("", site_zone), *zones])

    def _choose(self, name: str, choices: list[Any]) -> None:
        field = self.fields[name]
        assert isinstance(field, forms.ChoiceField)  # noqa: S101 - in words mypy reads
        field.choices = choices


class TokenForm(forms.Form):
    """Name a new API token."""

    LIMIT: ClassVar[int] = 20
    name = forms.CharField(
        label=_lazy("Name"),
        max_length=80,
        help_text=_lazy("Where you will use it, such as: laptop, lab server, CI."),
    )

    def __init__(self, *args: Any, user: User, **options: Any) -> None:
        super().__init__(*args, **options)
        self._user = user
        self.fields["name"].widget.attrs["autocomplete"] = "off"

    def clean_name(self) -> str:
        name = " ".join(self.cleaned_data["name"].split())
        if any(unicodedata.category(character) in {"Cc", "Cf", "Co", "Cs"} for character in name):
            raise forms.ValidationError(_("Use characters that can be seen."))
        if self._live().filter(name__iexact=name).exists():
            raise forms.ValidationError(_("You have a token with this name already."))
        return name

    def clean(self) -> dict[str, Any]:
        if self._live().count() >= self.LIMIT:
            raise forms.ValidationError(
                _("You have %(limit)s tokens, as many as anybody may. Revoke one first."),
                params={"limit": self.LIMIT},
            )
        return self.cleaned_data

    def _live(self) -> Any:
        return ApiToken.objects.filter(user=self._user, revoked_at__isnull=True)
