"""The forms of a reference set's pages: uploading images, crediting and deleting them."""

import zipfile
from collections.abc import Sequence
from typing import Any, cast

from django import forms
from django.core.files import File
from django.core.files.uploadedfile import TemporaryUploadedFile, UploadedFile
from django.template.defaultfilters import filesizeformat
from django.utils.translation import gettext_lazy as _

from competitions.models import ImageRole, ReferenceImage
from styletransfer.picture_files import is_png_or_jpeg

MOST_BYTES = 2**30
ZIP_SIGNATURES = (b"PK\x03\x04", b"PK\x05\x06")
LABEL_LENGTH = 40


class _FilesInput(forms.ClearableFileInput):
    allow_multiple_selected = True


class _FilesField(forms.FileField):
    """Several files at once; their first bytes alone are looked at here."""

    def clean(self, data: Any, initial: Any = None) -> list[UploadedFile[bytes]]:
        sent = (data or [None]) if isinstance(data, list | tuple) else [data]
        files = [super(_FilesField, self).clean(each, initial) for each in sent]
        if sum(file.size or 0 for file in files) > MOST_BYTES:
            raise forms.ValidationError(
                _("All together they have more than %(limit)s. Upload them in parts."),
                params={"limit": filesizeformat(MOST_BYTES)},
            )
        kinds = [self._is_zip(file) for file in files]
        if any(kinds) and len(files) > 1:
            raise forms.ValidationError(_("Choose either one zip or pictures, not both at once."))
        return files

    def _is_zip(self, file: UploadedFile[bytes]) -> bool:
        head = file.read(16)
        file.seek(0)
        if head.startswith(ZIP_SIGNATURES):
            return True
        if not is_png_or_jpeg(head):
            raise forms.ValidationError(
                _("“%(name)s” is neither a PNG or JPEG picture nor a zip, whatever it is called."),
                params={"name": file.name},
            )
        return False


class UploadForm(forms.Form):
    pictures = _FilesField(
        label=_("Pictures, or one zip of pictures"),
        widget=_FilesInput(attrs={"accept": "image/png,image/jpeg,application/zip,.zip"}),
        help_text=_(
            "PNG or JPEG. Up to 100 files at once; as a zip up to 2,000 pictures of together 1 GB, "
            "without folders in it."
        ),
    )
    role = forms.ChoiceField(
        label=_("Use them as"),
        choices=ImageRole.choices,
        widget=forms.RadioSelect,
        help_text=_(
            "Content images are painted anew, style images show how; references for FID are real "
            "pictures in the style, at least 2, and better thousands."
        ),
    )
    credit = forms.CharField(
        label=_("Credit"),
        max_length=200,
        required=False,
        help_text=_("Who made them. Shown below the pictures."),
    )
    licence = forms.CharField(
        label=_("Licence"), max_length=100, required=False, help_text=_("Such as CC BY 4.0.")
    )
    source = forms.CharField(
        label=_("Source"), max_length=300, required=False, help_text=_("An address, or a book.")
    )

    def upload(self) -> File[bytes]:
        """Return one file to be stored: what was sent, or a zip of it."""
        files = cast(Sequence[UploadedFile[bytes]], self.cleaned_data["pictures"])
        return files[0] if len(files) == 1 else _pack(files)


def _pack(files: Sequence[UploadedFile[bytes]]) -> File[bytes]:
    """Put pictures into a zip as they are: one upload is one import."""
    # With a path, it is moved where it is stored: copying a gigabyte would keep the database
    # locked meanwhile.
    bundle = TemporaryUploadedFile("pictures.zip", "application/zip", 0, None)
    with zipfile.ZipFile(bundle, "w", zipfile.ZIP_STORED) as archive:
        for file in files:
            with archive.open(str(file.name), "w", force_zip64=True) as entry:
                for chunk in file.chunks():
                    entry.write(chunk)
    bundle.flush()
    bundle.size = bundle.tell()
    bundle.seek(0)
    # A label that says which, in any language; not a path.
    first, last = (
        str(file.name).replace("/", "_")[:LABEL_LENGTH] for file in (files[0], files[-1])
    )
    bundle.name = f"{first} … {last} ({len(files)})"
    return bundle


class ImagesForm(forms.Form):
    """What to do with chosen images: delete them, or credit them alike."""

    images = forms.ModelMultipleChoiceField(queryset=ReferenceImage.objects.none())
    credit = forms.CharField(label=_("Credit"), max_length=200, required=False)
    licence = forms.CharField(label=_("Licence"), max_length=100, required=False)
    source = forms.CharField(label=_("Source"), max_length=300, required=False)

    def __init__(self, *args: Any, reference_set_id: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        images = cast(forms.ModelMultipleChoiceField[ReferenceImage], self.fields["images"])
        images.queryset = ReferenceImage.objects.filter(reference_set=reference_set_id)
        images.error_messages["required"] = _("Choose at least one image.")
