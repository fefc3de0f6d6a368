"""The page behind the link in every mail that ends mails of its kind."""

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from competitions import mail_preferences


# A mail program posts here on its reader's behalf (RFC 8058), without a cookie: the signed link
# alone says whose mails are meant, and they have the right to end them.
@csrf_exempt
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def unsubscribe(request: HttpRequest, token: str) -> HttpResponse:
    """Ask before ending mails: programs that look at every link in a mail must not end them."""
    try:
        if request.method == "POST":
            kind, is_done = mail_preferences.unsubscribe(token), True
        else:
            kind, is_done = mail_preferences.read_link(token), False
    except mail_preferences.BadLink:
        raise Http404 from None
    return render(request, "mail/unsubscribe.html", {"kind": kind.label, "is_done": is_done})
