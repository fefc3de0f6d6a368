"""The form of a phase: networks and metrics as choices, sizes in MiB."""

from collections.abc import Iterable
from typing import Any

from django import forms
from django.db.models import Q
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from competitions import publishing
from competitions.errors import DomainError
from competitions.metric_texts import describe_metric
from competitions.models import Phase
from competitions.models.phase import Direction
from competitions.networks import Networks, networks_of, pins_of
from styletransfer.errors import InvalidRecipe
from styletransfer.metric_specs import METRICS

MIB = 2**20
# What scores depend on: fixed as soon as there is a submission.
SCORING = ("reference_set", "recipe", "networks", "ranking_metric")
_SIZES = {"max_checkpoint_mib": "max_checkpoint_bytes", "memory_limit_mib": "memory_limit_bytes"}


# What is measured of a run differs from run to run, and part of it the generator's process tells.
RANKABLE = [key for key, spec in METRICS.items() if spec.source == "outputs"]


def metric_choices(keys: Iterable[str]) -> list[tuple[str, str]]:
    directions = dict(Direction.choices)
    texts = [describe_metric(key) for key in keys]
    return [(text.key, f"{text.title} ({directions[text.direction]})") for text in texts]


class PhaseForm(forms.ModelForm[Phase]):
    networks = forms.ChoiceField(
        label=_("Networks"),
        choices=Networks.choices,
        initial=Networks.OFFICIAL,
        widget=forms.RadioSelect,
        help_text=_(
            "What measures the pictures. Surrogates need no download and their scores are marked "
            "as such everywhere; a competition that counts uses the official ones."
        ),
    )
    ranking_metric = forms.ChoiceField(
        label=_("Ranked by"),
        initial="total",
        help_text=_("The board is sorted by it. The phase's recipe has to measure it."),
    )
    max_checkpoint_mib = forms.IntegerField(
        label=_("Largest checkpoint, MiB"), min_value=1, max_value=64 * 1024, initial=512
    )
    memory_limit_mib = forms.IntegerField(
        label=_("Memory of a generator, MiB"),
        min_value=512,
        max_value=1024 * 1024,
        initial=3 * 1024,
        help_text=_("A generator that needs more is stopped, and the submission fails."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        phase = self.instance
        if "ranking_metric" in self.fields:
            self.fields["ranking_metric"].choices = metric_choices(RANKABLE)  # type: ignore[attr-defined]
        self._limit_to_competition()
        if phase.pk is not None:
            self.initial["networks"] = networks_of(phase)
            for name, column in _SIZES.items():
                self.initial[name] = getattr(phase, column) // MIB

    def _limit_to_competition(self) -> None:
        """Offer what belongs to the phase's competition, as far as that is known by now."""
        competition = self.instance.competition_id or self.initial.get("competition")
        if not str(competition or "").isdecimal():
            return
        own = Q(competition=int(str(competition))) | Q(competition__isnull=True)
        for name in ("reference_set", "recipe"):
            field = self.fields.get(name)
            if isinstance(field, forms.ModelChoiceField) and field.queryset is not None:
                field.queryset = field.queryset.filter(own)

    def _get_validation_exclusions(self) -> set[str]:
        # The competition is not in the form of a phase that is there; names are unique in it.
        excluded: set[str] = super()._get_validation_exclusions()  # type: ignore[misc]
        return excluded - {"competition"} if self.instance.pk is not None else excluded

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        phase, given = self.instance, self.cleaned_data
        for name, column in _SIZES.items():
            if given.get(name):
                setattr(phase, column, given[name] * MIB)
        if given.get("networks"):
            self._pin(Networks(given["networks"]))
        if given.get("ranking_metric"):
            phase.ranking_direction = Direction(METRICS[given["ranking_metric"]].direction)
        opens_at, closes_at = given.get("opens_at"), given.get("closes_at")
        if opens_at and closes_at and closes_at <= opens_at:
            self.add_error("closes_at", _("A phase closes after it opens."))
        self._require_one_competition()
        self._require_measured()
        return cleaned

    def _pin(self, networks: Networks) -> None:
        phase = self.instance
        recipe = self.cleaned_data.get("recipe") or self._value("recipe")
        try:
            needed = recipe.as_value().extractors if recipe else ()
        except InvalidRecipe:
            return  # said below
        # What it was made with stays, even if other files came since.
        is_unchanged = phase.pk is not None and networks == networks_of(phase)
        kept = phase.extractors if is_unchanged else {}
        try:
            added = pins_of(networks, [role for role in needed if role not in kept])
        except DomainError as error:
            self.add_error("networks", str(error.detail))
        else:
            phase.extractors = {**kept, **added}

    def _require_one_competition(self) -> None:
        """A phase that used another competition's set or recipe would show it to strangers."""
        competition = self.cleaned_data.get("competition") or self._value("competition")
        for name in ("reference_set", "recipe"):
            chosen = self.cleaned_data.get(name)
            if chosen and competition and chosen.competition_id not in (None, competition.pk):
                self.add_error(name, _("This one belongs to another competition."))

    def _require_measured(self) -> None:
        recipe = self.cleaned_data.get("recipe") or self._value("recipe")
        metric = self.cleaned_data.get("ranking_metric")
        if recipe is None or not metric:
            return
        try:
            measured = recipe.as_value().scored
        except InvalidRecipe:
            self.add_error("recipe", _("This recipe contradicts itself: mend it first."))
            return
        if metric not in measured:
            offered = ", ".join(str(describe_metric(key).title) for key in measured)
            message = gettext("The recipe does not measure this. It measures: %(metrics)s.")
            self.add_error("ranking_metric", message % {"metrics": offered})

    def _value(self, name: str) -> Any:
        """Return what the phase has where the form does not ask for it."""
        has_it = getattr(self.instance, f"{name}_id", None) is not None
        return getattr(self.instance, name) if has_it else None

    def _post_clean(self) -> None:
        super()._post_clean()  # type: ignore[misc]
        phase = self.instance
        if self.errors or not self._value("competition") or not phase.competition.is_published:
            return
        # People see it as soon as it is saved: it has to be as complete as for publishing.
        for item in publishing.check_phase(phase):
            if item.is_required and not item.is_done:
                message = gettext("The competition is published, so this may not lack: %(what)s.")
                self.add_error(None, message % {"what": item.text})
