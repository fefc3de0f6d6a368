"""Forms of those who take part: joining, a team's name, an invitation."""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.db import models
from django.utils.translation import gettext_lazy as _

from competitions.errors import DomainError
from competitions.models import Competition
from competitions.teams import NAME_CHARACTERS, hash_terms


class Entry(models.TextChoices):
    ALONE = "alone", _("On my own")
    TEAM = "team", _("With a team that I name")


class TermsForm(forms.Form):
    """Accept a competition's terms; without terms there is nothing to fill in."""

    accept_terms = forms.BooleanField(
        label=_("I have read the terms and accept them"),
        error_messages={"required": _("Accept the terms to take part.")},
    )
    # What was read: if the organizers reword the terms meanwhile, nobody accepts unread ones.
    terms_sha256 = forms.CharField(widget=forms.HiddenInput, required=False)

    def __init__(self, *args: Any, competition: Competition, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.terms_now = hash_terms(competition)
        if not self.terms_now:
            del self.fields["accept_terms"], self.fields["terms_sha256"]
        else:
            self.initial["terms_sha256"] = self.terms_now

    @property
    def accepted_terms(self) -> str:
        return str(self.cleaned_data.get("terms_sha256", ""))


class JoinForm(TermsForm):
    entry = forms.ChoiceField(
        label=_("How do you take part?"),
        choices=Entry,
        initial=Entry.ALONE,
        widget=forms.RadioSelect,
    )
    team_name = forms.CharField(
        label=_("Name of the team"),
        max_length=NAME_CHARACTERS,
        required=False,
        help_text=_("Everybody sees it on the board. The team can change it."),
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    field_order = ("entry", "team_name", "accept_terms")

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        is_team = given.get("entry") == Entry.TEAM
        if is_team and not given.get("team_name") and "team_name" not in self.errors:
            self.add_error("team_name", _("Give the team a name."))
        return given

    @property
    def wanted_name(self) -> str:
        """Return the name to enter with; empty for the participant's own."""
        given = self.cleaned_data
        return str(given["team_name"]) if given["entry"] == Entry.TEAM else ""


class RenameForm(forms.Form):
    name = forms.CharField(
        label=_("Name of the team"),
        max_length=NAME_CHARACTERS,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )


class InviteForm(forms.Form):
    email = forms.EmailField(
        label=_("E-mail address"),
        required=False,
        help_text=_("We send the link there. Leave it empty to send the link yourself."),
        widget=forms.EmailInput(attrs={"autocomplete": "off"}),
    )


def show(error: DomainError, form: forms.Form, fields: Mapping[str, str]) -> None:
    """Put an error beside the field that its code belongs to, or on top of the form."""
    name = fields.get(error.code)
    form.add_error(name if name in form.fields else None, str(error.detail))
