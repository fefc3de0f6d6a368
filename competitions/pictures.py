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
    return _serve(request, file, "image/png", version=version, is_final=is_final)


def serve_webp(
    request: HttpRequest, file: FieldFile, *, version: str, is_final: bool
) -> HttpResponseBase:
    """Answer with a WebP, as ``serve_png`` does with a PNG."""
    return _serve(request, file, "image/webp", version=version, is_final=is_final)


def serve_thumbnail(
    request: HttpRequest, thumbnail: FieldFile, original: FieldFile, *, version: str, is_final: bool
) -> HttpResponseBase:
    """Answer with the WebP, or with the PNG where none was made; one may be made later."""
    if not thumbnail:
        return serve_png(request, original, version=version, is_final=False)
    return serve_webp(request, thumbnail, version=f"{version}-thumbnail", is_final=is_final)


def _serve(
    request: HttpRequest, file: FieldFile, content_type: str, *, version: str, is_final: bool
) -> HttpResponseBase:
    etag = quote_etag(version)
    response: HttpResponseBase | None = get_conditional_response(request, etag=etag)
    if response is None:
        try:
            response = FileResponse(file.open("rb"), content_type=content_type)
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
