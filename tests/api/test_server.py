"""The interface as it is reached from outside: curl against the real web server."""

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from tests.api.served import Answer, Site, memory_of, served_site
from tests.uploads import MANIFEST_JSON, make_onnx


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with served_site(tmp_path_factory.mktemp("site")) as served:
        yield served


def refused(answer: Answer, status: int, code: str) -> dict[str, Any]:
    assert (answer.status, answer.body["code"]) == (status, code), answer
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.body["detail"]
    assert "Traceback" not in answer.text
    return answer.body


def test_competitions_boards_and_scores_are_public(site: Site) -> None:
    page = site.curl("competitions/", token=False)
    assert page.status == 200
    assert page.headers["content-type"] == "application/json"
    assert page.body["count"] == 6
    board = site.curl(f"phases/{site.phases['open']}/leaderboard/", token=False)
    assert board.body["results"][0]["rank"] == 1
    detail = site.curl(f"submissions/{site.scored}/", token=False)
    assert detail.body["scores"]["total"]["value"] == 1.0


def test_an_upload_is_entered_and_can_be_cancelled(site: Site) -> None:
    entered = site.upload("open", make_onnx())
    assert entered.status == 201, entered
    link = f"submissions/{entered.body['id']}/"
    assert site.curl(link).body["status"] == "checking"
    assert site.curl(link, token=False).status == 404
    assert site.curl(f"{link}cancel/", "-X", "POST").body["status"] == "cancelled"
    refused(site.curl(f"{link}cancel/", "-X", "POST"), 409, "already_ended")
    assert site.leftovers() == []


def test_every_refusal_has_its_own_status_and_code(site: Site) -> None:
    before = site.stored()
    parts = ["-F", f"manifest={MANIFEST_JSON}"]
    address = f"phases/{site.phases['open']}/submissions/"
    refused(site.curl(address, *parts, token=False), 401, "not_authenticated")
    bad = site.curl(address, *parts, "-H", "Authorization: Token wrong", token=False)
    refused(bad, 401, "bad_token")
    assert bad.headers["www-authenticate"].startswith("Token")
    refused(site.curl(address, *parts), 400, "checkpoint_missing")
    refused(site.upload("open", make_onnx(), manifest="{}"), 400, "bad_manifest")
    refused(site.upload("open", b""), 400, "empty_file")
    refused(site.upload("open", b"words, words, words"), 400, "not_a_checkpoint")
    refused(site.upload("open", b"PK\x03\x04" + bytes(60)), 400, "format_refused")
    refused(site.upload("closed", make_onnx()), 403, "phase_closed")
    refused(site.upload("foreign", make_onnx()), 403, "not_a_participant")
    refused(site.upload("small", make_onnx(size=2000)), 413, "too_large")
    refused(site.curl("phases/999/submissions/"), 404, "not_found")
    refused(site.curl("nowhere/"), 404, "unknown_address")
    refused(site.curl("competitions/", "-H", "Host: evil.example"), 400, "bad_request")
    refused(site.curl("competitions/", "-X", "PUT"), 405, "method_not_allowed")
    assert site.stored() == before
    assert site.leftovers() == []


def test_a_duplicate_and_a_spent_quota_say_what_they_are(site: Site) -> None:
    content = make_onnx()
    first = site.upload("tight", content)
    assert first.status == 201
    duplicate = refused(site.upload("tight", content), 409, "duplicate")
    assert duplicate["submission"] == first.body["id"]
    spent = site.upload("tight", make_onnx())
    body = refused(spent, 429, "quota_spent")
    assert (body["limit"], body["used"]) == (1, 1)
    assert body["next_allowed_at"]
    assert 86_000 < int(spent.headers["retry-after"]) <= 86_400


def test_a_file_far_too_large_is_refused_before_it_is_sent(site: Site) -> None:
    content = b"\x08\x08" + bytes(40 * 2**20)
    polite = site.upload("small", content)  # curl asks first, with Expect: 100-continue
    refused(polite, 413, "too_large")
    assert polite.uploaded == 0
    hasty = site.upload("small", content, "-H", "Expect:")
    refused(hasty, 413, "too_large")
    assert hasty.uploaded < len(content)
    assert site.leftovers() == []


def test_a_large_upload_goes_to_disk_and_not_to_memory(site: Site) -> None:
    size = 48 * 2**20
    before = memory_of(site.server)
    # A graph that is longer than the file: the sniffer leaves that to the check.
    entered = site.upload("open", b"\x08\x08\x3a\xff\xff\xff\x7f" + bytes(size))
    assert entered.status == 201, entered
    assert entered.body["size_bytes"] == size + 7
    assert memory_of(site.server) - before < size // 2


def test_without_a_length_an_upload_is_refused(site: Site) -> None:
    answer = site.upload("open", make_onnx(), "-H", "Transfer-Encoding: chunked")
    refused(answer, 411, "length_required")


def test_an_upload_that_breaks_off_is_not_entered(site: Site) -> None:
    before = site.stored()
    parts = (
        '--x\r\nContent-Disposition: form-data; name="manifest"\r\n\r\n'
        f"{MANIFEST_JSON}\r\n--x\r\n"
        'Content-Disposition: form-data; name="checkpoint"; filename="g.onnx"\r\n\r\n'
    ).encode() + make_onnx(size=16_000)
    for missing in (10_000, 0):  # the line goes dead; or the form has no end
        head = (
            f"POST /api/v1/phases/{site.phases['open']}/submissions/ HTTP/1.1\r\n"
            f"Host: 127.0.0.1\r\nAuthorization: Token {site.key}\r\nConnection: close\r\n"
            "Content-Type: multipart/form-data; boundary=x\r\n"
            f"Content-Length: {len(parts) + missing}\r\n\r\n"
        ).encode()
        with socket.create_connection(("127.0.0.1", site.port), timeout=20) as line:
            line.sendall(head + parts)
            line.shutdown(socket.SHUT_WR)
            assert b" 201 " not in line.recv(100)
    assert site.stored() == before
    assert site.leftovers() == []


def test_a_store_that_takes_no_files_costs_nothing(site: Site) -> None:
    folder = site.var / "media" / "checkpoints"
    aside = folder.with_name("aside")
    folder.rename(aside)
    folder.write_text("a file where a folder should be")
    try:
        answer = site.upload("open", make_onnx())
    finally:
        folder.unlink()
        aside.rename(folder)
    refused(answer, 503, "storage_unavailable")
    assert int(answer.headers["retry-after"]) > 0
    assert site.leftovers() == []
    count = site.curl(f"phases/{site.phases['open']}/submissions/").body["count"]
    assert site.upload("open", make_onnx()).status == 201
    assert site.curl(f"phases/{site.phases['open']}/submissions/").body["count"] == count + 1
