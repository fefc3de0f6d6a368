"""Workers as they described themselves: for the operator, not for organizers."""

from typing import Any

from django.contrib import admin
from django.db.models import OuterRef, QuerySet, Subquery, UUIDField
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from competitions.admin.base import person
from competitions.admin.lists import plain_list
from competitions.templatetags.scores import NOTHING
from evaluation.models import EvaluationRun, Outcome, Worker

# As `evaluation.sandbox.walls.WALLS` names them.
WALLS = {
    "network": _("network"),
    "sockets": _("sockets"),
    "files": _("files of this machine"),
    "open": _("opening files"),
    "read-only": _("read-only folders"),
    "devices": _("devices"),
    "temporary files": _("room for temporary files"),
    "file size": _("size of files"),
    "environment": _("environment"),
    "processes": _("other processes"),
    "signals": _("signals"),
    "ptrace": _("memory of other processes"),
    "fork": _("starting processes"),
    "exec": _("starting programs"),
    "threads": _("threads"),
    "memory": _("memory"),
    "processor time": _("processor time"),
    "limits": _("raising limits"),
    "privileges": _("privileges"),
    "namespaces": _("namespaces"),
    "mounts": _("mounting"),
    "keys": _("the kernel's keys"),
    "kernel": _("dangerous system calls"),
    "32-bit calls": _("32-bit system calls"),
    "second filter": _("second filter"),
    "ipc": _("shared memory and queues"),
    "host name": _("host name"),
    "terminal": _("terminal"),
    "descriptors": _("open files of the worker"),
    "buffers": _("sealed buffers"),
    "leftovers": _("processes left behind"),
    "honest generators": _("honest generators run"),
}


@admin.register(Worker)
class WorkerAdmin(admin.ModelAdmin[Worker]):
    list_display = (
        *("name", "is_online", "is_tight", "seen_at", "queues_shown", "doing"),
        *("version", "device", "threads", "token"),
    )
    list_select_related = ("token",)
    fields = readonly_fields = (
        "name",
        "token",
        "version",
        "device",
        "threads",
        "queues_shown",
        "doing",
        "started_at",
        "seen_at",
        "ended_at",
        "is_tight",
        "problem",
        "findings",
    )

    class Media:
        css = {"all": ["css/reference-set.css"]}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Worker]:
        """Add what each is doing, which follows from the runs that are open."""
        busy = EvaluationRun.objects.filter(outcome=Outcome.RUNNING, worker=OuterRef("name"))
        found: QuerySet[Worker] = Worker.objects.with_presence().annotate(
            doing_now=Subquery(
                busy.order_by("-pk").values("submission")[:1], output_field=UUIDField()
            )
        )
        return found

    def has_module_permission(self, request: HttpRequest) -> bool:
        return person(request).is_superuser

    def has_view_permission(self, request: HttpRequest, obj: Worker | None = None) -> bool:
        return person(request).is_superuser

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Worker | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Worker | None = None) -> bool:
        return person(request).is_superuser  # one of a machine that is gone

    @admin.display(description=_("online"), boolean=True)
    def is_online(self, worker: Any) -> bool:
        return bool(worker.is_online)

    @admin.display(description=_("queues"))
    def queues_shown(self, worker: Worker) -> str:
        return ", ".join(worker.queues)

    @admin.display(description=_("works on"))
    def doing(self, worker: Any) -> SafeString | str:
        if not worker.is_online or worker.doing_now is None:
            return NOTHING
        url = reverse("admin:submissions_submission_change", args=[worker.doing_now])
        return format_html('<a href="{}">{}</a>', url, str(worker.doing_now)[:8])

    @admin.display(description=_("sandbox is tight"), boolean=True)
    def is_tight(self, worker: Worker) -> bool | None:
        known: bool | None = worker.sandbox_check.get("is_ok")
        return known

    @admin.display(description=_("why it takes no submissions"))
    def problem(self, worker: Worker) -> str:
        return worker.sandbox_check.get("problem") or NOTHING

    @admin.display(description=_("walls of the sandbox"))
    def findings(self, worker: Worker) -> SafeString:
        """Name each wall once: what was tried at it is for ``manage.py sandbox_check``."""
        stood: dict[str, bool] = {}
        for found in worker.sandbox_check.get("findings", []):
            stood[found["wall"]] = stood.get(found["wall"], True) and found["stood"]
        rows = [
            (gettext("ok") if held else gettext("MISSING"), WALLS.get(wall, wall))
            for wall, held in stood.items()
        ]
        return plain_list(format_html_join("", "<li>{}: {}</li>", rows))
