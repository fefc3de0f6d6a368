"""The page of a competition's banner: uploading one, saying what it shows, taking it away."""

from typing import Any

from django import forms
from django.contrib import messages
from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.defaultfilters import filesizeformat
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods, require_safe
from django_htmx.http import HttpResponseClientRefresh

from competitions import banners
from competitions.admin.base import OrganizerAdmin, person
from competitions.errors import DomainError
from competitions.models import Banner, Competition, Preparation, PreparationKind
from competitions.preparation_problems import problem_of
from competitions.preparations import OPEN, request_banner
from styletransfer.picture_files import (
    BANNER_PROPORTION,
    LEAST_BANNER_WIDTH,
    is_png_or_jpeg,
)

MOST_BYTES = 20 * 2**20
SHOWN = 3


class BannerForm(forms.Form):
    """A new picture, or other words for the one that is there."""

    picture = forms.FileField(
        label=_("Picture"), widget=forms.FileInput(attrs={"accept": "image/png,image/jpeg"})
    )
    alt = forms.CharField(
        label=_("What the picture shows"),
        max_length=Banner.alt.field.max_length,
        required=False,
        help_text=_("For those who can't see it. Empty if it only decorates the page."),
    )

    def __init__(self, data: Any, files: Any, *, banner: Banner | None) -> None:
        super().__init__(data, files, initial={"alt": banner.alt if banner else ""})
        self.fields["picture"].required = banner is None
        told = gettext(
            "PNG or JPEG of at most %(limit)s and at least %(width)d by %(height)d pixels. It is "
            "cut to its middle, %(proportion)d times as wide as high."
        ) % {
            "limit": filesizeformat(MOST_BYTES),
            "width": LEAST_BANNER_WIDTH,
            "height": LEAST_BANNER_WIDTH // BANNER_PROPORTION,
            "proportion": BANNER_PROPORTION,
        }
        if banner is not None:
            told += " " + gettext("Without a picture, only what is said of it changes.")
        self.fields["picture"].help_text = told

    def clean_picture(self) -> UploadedFile[bytes] | None:
        """Look at the size and the first bytes; only a worker looks at more."""
        file: UploadedFile[bytes] | None = self.cleaned_data["picture"]
        if file is None:
            return None
        if (file.size or 0) > MOST_BYTES:
            raise forms.ValidationError(
                _("It has more than %(limit)s. Make it smaller, or save it as JPEG."),
                params={"limit": filesizeformat(MOST_BYTES)},
            )
        head = file.read(16)
        file.seek(0)
        if not is_png_or_jpeg(head):
            raise forms.ValidationError(
                _("“%(name)s” is neither a PNG nor a JPEG picture, whatever it is called."),
                params={"name": file.name},
            )
        return file


class BannerPages(OrganizerAdmin[Competition]):
    """What the admin of competitions has for their banners."""

    def get_urls(self) -> list[URLPattern]:
        views = (
            ("banner", require_http_methods(["GET", "HEAD", "POST"])(self.banner_view)),
            ("banner-live", require_safe(self.banner_live_view)),
        )
        own = [
            path(
                f"<path:object_id>/{name}/",
                self.admin_site.admin_view(view),
                name=f"competitions_competition_{name}",
            )
            for name, view in views
        ]
        removing = self.button_url("remove-banner", self.remove_banner_view)
        return [removing, *own, *super().get_urls()]

    def banner_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Take a picture, of which a worker makes the banner, or other words for it."""
        row = self.get_or_404(request, object_id)
        banner = Banner.objects.filter(competition=row).first()
        form = BannerForm(request.POST or None, request.FILES or None, banner=banner)
        if request.method == "POST" and form.is_valid():
            try:
                said = self._change_banner(request, row, form)
            except DomainError as error:
                form.add_error(None, str(error.detail))
            else:
                self.message_user(request, said, messages.SUCCESS)
                return HttpResponseRedirect(_banner_page(row))
        context = self.admin_site.each_context(request) | self._banner_context(row)
        context |= {
            "opts": self.opts,
            "title": gettext("Banner"),
            "subtitle": str(row),
            "banner": banner,
            "form": form,
        }
        return TemplateResponse(request, "admin/competitions/competition/banner.html", context)

    def _change_banner(self, request: HttpRequest, row: Competition, form: BannerForm) -> str:
        picture, alt = form.cleaned_data["picture"], form.cleaned_data["alt"]
        with transaction.atomic():
            if picture is None:
                banners.describe_banner(row, alt)
                done = said = gettext("Said what the banner shows")
            else:
                made = request_banner(row, upload=picture, alt=alt, by=person(request))
                done = gettext("Uploaded %(file)s as the banner") % {"file": made.file_name}
                said = gettext("Uploaded. The picture is being prepared.")
            self.record(request, row, done)
        return said

    def banner_live_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Answer with how far it is; at the end let the page load anew."""
        context = self._banner_context(self.get_or_404(request, object_id))
        if not context["is_preparing"]:
            return HttpResponseClientRefresh()
        return TemplateResponse(request, "admin/competitions/_uploads.html", context)

    def remove_banner_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        row = self.get_or_404(request, object_id)

        def does() -> str:
            banners.remove_banner(row)
            return gettext("Removed the banner")

        self.act(request, row, does)
        return HttpResponseRedirect(_banner_page(row))

    def delete_model(self, request: HttpRequest, obj: Competition) -> None:
        banners.delete_competition(obj)

    def _banner_context(self, row: Competition) -> dict[str, Any]:
        uploads = list(
            Preparation.objects.filter(competition=row, kind=PreparationKind.BANNER)[:SHOWN]
        )
        return {
            "original": row,
            "imports": [(each, problem_of(each)) for each in uploads],
            "is_preparing": any(each.status in OPEN for each in uploads),
            "live_address": reverse("admin:competitions_competition_banner-live", args=[row.pk]),
            "page_address": _banner_page(row),
        }


def _banner_page(row: Competition) -> str:
    return reverse("admin:competitions_competition_banner", args=[row.pk])
