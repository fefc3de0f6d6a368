"""The pages of a reference set: its images, how they came in, and the pairs made of them."""

from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.core.paginator import Paginator
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods, require_safe
from django_htmx.http import HttpResponseClientRefresh

from competitions import reference_images
from competitions.admin.base import OrganizerAdmin, person
from competitions.admin.reference_set_forms import ImagesForm, UploadForm
from competitions.errors import DomainError
from competitions.models import (
    ImageRole,
    PreparationKind,
    ReferenceImage,
    ReferenceSet,
)
from competitions.preparation_problems import problem_of
from competitions.preparations import OPEN, request_import
from competitions.reference_state import SetState, content_of, state_of, with_content

HEADINGS = {
    ImageRole.CONTENT: _("Content images"),
    ImageRole.STYLE: _("Style images"),
    ImageRole.REAL: _("References for FID"),
}
SHOWN_IMAGES, SHOWN_PAIRS, SHOWN_IMPORTS = 12, 8, 10
IMAGES_PER_PAGE = 60


@admin.register(ReferenceSet)
class ReferenceSetAdmin(OrganizerAdmin[ReferenceSet]):
    position = 30
    change_form_template = "admin/competitions/referenceset/change_form.html"
    list_display = ("name", "competition", "state", "contents", "styles", "reals", "pairs")
    list_filter = ("competition",)
    list_select_related = ("competition",)
    search_fields = ("name",)
    ordering = ("-created_at",)
    fields = ("competition", "name", "image_size", "pairing")

    # --- The list ---------------------------------------------------------------------------
    def get_queryset(self, request: HttpRequest) -> QuerySet[ReferenceSet]:
        return with_content(super().get_queryset(request))

    @admin.display(description=_("state"))
    def state(self, row: ReferenceSet) -> str:
        return str(state_of(row).label)

    @admin.display(description=_("contents"), ordering="content_images")
    def contents(self, row: ReferenceSet) -> int:
        return content_of(row).contents

    @admin.display(description=_("styles"), ordering="style_images")
    def styles(self, row: ReferenceSet) -> int:
        return content_of(row).styles

    @admin.display(description=_("for FID"), ordering="real_images")
    def reals(self, row: ReferenceSet) -> int:
        return content_of(row).reals

    @admin.display(description=_("pairs"), ordering="pairs_made")
    def pairs(self, row: ReferenceSet) -> int:
        return content_of(row).pairs

    # --- The page -----------------------------------------------------------------------------
    def get_readonly_fields(
        self, request: HttpRequest, obj: ReferenceSet | None = None
    ) -> list[Any]:
        fields = super().get_readonly_fields(request, obj)
        if obj is None:
            return fields
        if obj.frozen_at is not None:
            return [*fields, "image_size", "pairing"]
        # The images that are there have this size already.
        is_begun = obj.images.exists() or obj.preparations.filter(status__in=OPEN).exists()
        return [*fields, "image_size"] if is_begun else fields

    def has_delete_permission(self, request: HttpRequest, obj: ReferenceSet | None = None) -> bool:
        if obj is not None and (obj.frozen_at is not None or obj.phases.exists()):
            return False
        return super().has_delete_permission(request, obj)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Say how much goes with a set instead of naming thousands of images and pairs."""
        rows = list(objs)
        counts = {
            ReferenceImage._meta.verbose_name_plural: sum(row.images.count() for row in rows),
        }
        return [str(row) for row in rows], counts, set(), []

    def delete_model(self, request: HttpRequest, obj: ReferenceSet) -> None:
        reference_images.delete_reference_set(obj)

    def save_model(self, request: HttpRequest, obj: ReferenceSet, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if change and "pairing" in form.changed_data:
            reference_images.make_pairs(obj)

    def response_add(
        self, request: HttpRequest, obj: ReferenceSet, post_url_continue: str | None = None
    ) -> HttpResponse:
        if {"_addanother", "_popup"} & set(request.POST):
            return super().response_add(request, obj, post_url_continue)
        said = gettext("“%(name)s” is empty still. Next: its pictures.") % {"name": obj.name}
        self.message_user(request, said, messages.SUCCESS)
        return HttpResponseRedirect(self._url("upload", obj))

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: ReferenceSet | None = None,
    ) -> HttpResponse:
        if obj is not None:
            context |= self._state_context(obj) | {
                "shelves": [
                    {
                        "role": role,
                        "heading": HEADINGS[role],
                        "count": obj.images.filter(role=role.value).count(),
                        "images": obj.images.filter(role=role.value)[:SHOWN_IMAGES],
                    }
                    for role in ImageRole
                ],
                "pairs": obj.pairs.select_related("content", "style")[:SHOWN_PAIRS],
                "phases_using": obj.phases.select_related("competition"),
            }
        return super().render_change_form(request, context, add, change, form_url, obj)

    def _state_context(self, row: ReferenceSet) -> dict[str, Any]:
        described = with_content(ReferenceSet.objects.filter(pk=row.pk)).get()
        imports = row.preparations.filter(kind=PreparationKind.IMAGES)[:SHOWN_IMPORTS]
        return {
            "reference_set": described,
            "content": content_of(described),
            "state": state_of(described),
            "is_preparing": state_of(described) == SetState.PREPARING,
            "live_address": self._url("live", row),
            "page_address": self.address(row),
            "imports": [(each, problem_of(each)) for each in imports],
            "credit_lacks": row.images.filter(licence="").count(),
        }

    # --- What can be done with it -------------------------------------------------------------
    def get_urls(self) -> list[URLPattern]:
        views = (
            ("live", require_safe(self.live_view)),
            ("upload", require_http_methods(["GET", "HEAD", "POST"])(self.upload_view)),
            ("images", require_http_methods(["GET", "HEAD", "POST"])(self.images_view)),
        )
        own = [
            path(
                f"<path:object_id>/{name}/",
                self.admin_site.admin_view(view),
                name=f"{self.opts.app_label}_{self.opts.model_name}_{name}",
            )
            for name, view in views
        ]
        return [*own, *super().get_urls()]

    def _url(self, name: str, row: ReferenceSet) -> str:
        return reverse(f"admin:competitions_referenceset_{name}", args=[row.pk])

    def live_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Answer with the imports as they are now; at the end let the page load anew."""
        row = self.get_or_404(request, object_id)
        context = {"original": row, **self._state_context(row)}
        if not context["is_preparing"]:
            return HttpResponseClientRefresh()
        return TemplateResponse(request, "admin/competitions/_uploads.html", context)

    def upload_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Take pictures or a zip; a worker makes images of them."""
        row = self.get_or_404(request, object_id)
        form = UploadForm(request.POST or None, request.FILES or None)
        if request.method == "POST" and form.is_valid():
            try:
                self._request_import(request, row, form)
            except DomainError as error:
                form.add_error(None, str(error.detail))
            else:
                said = gettext("Uploaded. The pictures are being prepared.")
                self.message_user(request, said, messages.SUCCESS)
                return HttpResponseRedirect(self.address(row))
        context = self._page(request, row, gettext("Add images"))
        context |= {"form": form, "most_files": settings.DATA_UPLOAD_MAX_NUMBER_FILES}
        return TemplateResponse(request, "admin/competitions/referenceset/upload.html", context)

    def _request_import(self, request: HttpRequest, row: ReferenceSet, form: UploadForm) -> None:
        words = {key: form.cleaned_data[key] for key in ("credit", "licence", "source")}
        role = ImageRole(form.cleaned_data["role"])
        with form.upload() as upload, transaction.atomic():
            made = request_import(row, upload=upload, role=role, by=person(request), **words)
            done = gettext("Uploaded %(file)s as %(role)s") % {
                "file": made.file_name,
                "role": role.label,
            }
            self.record(request, row, done)

    def images_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Show all images of one role; credit or delete those chosen."""
        row = self.get_or_404(request, object_id)
        role = ImageRole(_known_role(request.GET.get("role")))
        form = ImagesForm(request.POST or None, reference_set_id=row.pk)
        if request.method == "POST" and form.is_valid():
            try:
                self._change_images(request, row, form)
            except DomainError as error:
                form.add_error(None, str(error.detail))
            else:
                return HttpResponseRedirect(request.get_full_path())
        images = row.images.filter(role=role.value)
        page = Paginator(images, IMAGES_PER_PAGE).get_page(request.GET.get("page"))
        context = self._page(request, row, str(HEADINGS[role])) | {
            "form": form,
            "role": role,
            "roles": [
                (each, HEADINGS[each], row.images.filter(role=each.value).count())
                for each in ImageRole
            ],
            "page": page,
            "is_frozen": row.frozen_at is not None,
        }
        return TemplateResponse(request, "admin/competitions/referenceset/images.html", context)

    def _change_images(self, request: HttpRequest, row: ReferenceSet, form: ImagesForm) -> None:
        chosen: QuerySet[ReferenceImage] = form.cleaned_data["images"]
        keys = [image.pk for image in chosen]
        if "delete" in request.POST:
            count = reference_images.delete_images(row, keys)
            said = ngettext("Deleted %(count)d image", "Deleted %(count)d images", count)
        else:
            words = {key: form.cleaned_data[key] for key in ("credit", "licence", "source")}
            count = reference_images.credit_images(row, keys, words)
            said = ngettext("Credited %(count)d image", "Credited %(count)d images", count)
        self.record(request, row, said % {"count": count})
        self.message_user(request, said % {"count": count}, messages.SUCCESS)

    def _page(self, request: HttpRequest, row: ReferenceSet, title: str) -> dict[str, Any]:
        return {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "original": row,
            "title": title,
            "subtitle": str(row),
        }


@admin.register(ReferenceImage)
class ReferenceImageAdmin(OrganizerAdmin[ReferenceImage]):
    """One image's credit; reached from its set, so it stands in no menu."""

    competition_path = "reference_set__competition"
    list_display = ("name", "reference_set", "role", "credit", "licence")
    list_filter = ("reference_set",)
    list_select_related = ("reference_set",)
    search_fields = ("name", "credit")
    ordering = ("reference_set", "role", "position")
    fields = ("reference_set", "role", "name", "credit", "licence", "source")
    readonly_fields = ("reference_set", "role", "name")
    change_form_template = "admin/competitions/referenceset/image_form.html"

    def has_module_permission(self, request: HttpRequest) -> bool:
        return False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(
        self, request: HttpRequest, obj: ReferenceImage | None = None
    ) -> bool:
        if obj is not None and obj.reference_set.frozen_at is not None:
            return False
        return super().has_change_permission(request, obj)

    def has_delete_permission(
        self, request: HttpRequest, obj: ReferenceImage | None = None
    ) -> bool:
        return False  # its set's page does that, and makes the pairs anew

    def response_change(self, request: HttpRequest, obj: ReferenceImage) -> HttpResponse:
        response = super().response_change(request, obj)
        if "_continue" in request.POST:
            return response
        url = reverse("admin:competitions_referenceset_images", args=[obj.reference_set_id])
        return HttpResponseRedirect(f"{url}?role={obj.role}")


def _known_role(wanted: str | None) -> str:
    return wanted if wanted in ImageRole.values else ImageRole.CONTENT.value
