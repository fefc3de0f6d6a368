"""The publishing checklist as the page of a competition shows it: each line with its link."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.contrib.admin import AdminSite
from django.db.models import Model
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from competitions import publishing
from competitions.models import Competition, Phase
from competitions.publishing import Group, Item

_FIELDS = {"texts": "description", "rules": "rules", "data": "data_description", "terms": "terms"}


@dataclass(frozen=True)
class Line:
    """One line: done, lacking (nothing is published without it) or advice."""

    state: str
    text: "str | Promise"
    url: str
    link: "str | Promise"


@dataclass(frozen=True)
class Section:
    phase: Phase | None
    url: str
    lines: Sequence[Line]

    @property
    def done(self) -> Sequence[Line]:
        return [line for line in self.lines if line.state == "done"]

    @property
    def open(self) -> Sequence[Line]:
        return [line for line in self.lines if line.state != "done"]


@dataclass(frozen=True)
class Checklist:
    sections: Sequence[Section]
    lacking: int

    @property
    def is_complete(self) -> bool:
        return self.lacking == 0


def checklist_of(competition: Competition, site: AdminSite) -> Checklist:
    groups = publishing.checklist(competition)
    sections = [_section(group, competition, site) for group in groups]
    return Checklist(sections, len(publishing.lacking(groups)))


def _section(group: Group, competition: Competition, site: AdminSite) -> Section:
    url = _change_url(group.phase, site) if group.phase else ""
    return Section(group.phase, url, [_line(item, competition, site) for item in group.items])


def _line(item: Item, competition: Competition, site: AdminSite) -> Line:
    if item.is_done:
        return Line("done", item.text, "", "")
    state = "lacking" if item.is_required else "advice"
    if item.about is None:
        query = f"?competition={competition.pk}"
        return Line(
            state,
            item.text,
            reverse(f"{site.name}:competitions_phase_add") + query,
            _("Add a phase"),
        )
    if isinstance(item.about, Competition):
        return Line(state, item.text, f"#{item.code}", _("Write it"))
    # What belongs to no competition is an administrator's and has no page for organizers.
    is_own = getattr(item.about, "competition_id", None) == competition.pk
    url = _change_url(item.about, site) if is_own else ""
    return Line(state, item.text, url, str(item.about))


def _change_url(row: Model, site: AdminSite) -> str:
    if not site.is_registered(type(row)):
        return ""
    name = f"{row._meta.app_label}_{row._meta.model_name}_change"
    return reverse(f"{site.name}:{name}", args=[row.pk])
