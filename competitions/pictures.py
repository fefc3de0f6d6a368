"""Serving pictures that the platform made, to those who may see them."""

from django.db.models.fields.files import FieldFile
from django.http import FileResponse, Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.utils.cache import get_conditional_response, patch_cache_control
from django.utils.http import quote_etag

A_YEAR = 365 * 24 * 3600


def serve_png(
    request: HttpRequest, file: FieldFile, *, version: str, is_final: bool
) -> HttpResponseBase:
    """Answer with a PNG, or with 304 if the browser holds this ``version`` of it.

    Private: whether somebody may see a picture is decided for each person. ``is_final`` says that
    this address never shows other pixels, so that a browser need not ask again.
    """
    etag = quote_etag(version)
    response: HttpResponseBase | None = get_conditional_response(request, etag=etag)
    if response is None:
        try:
            response = FileResponse(file.open("rb"), content_type="image/png")
        except FileNotFoundError:
            raise Http404 from None
    response["ETag"] = etag
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = "default-src 'none'"
    if is_final:
        patch_cache_control(response, private=True, max_age=A_YEAR, immutable=True)
    else:
        patch_cache_control(response, private=True, no_cache=True)
    return response
