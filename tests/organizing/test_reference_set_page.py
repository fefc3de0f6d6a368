"""An organizer brings pictures into a reference set in the browser's way: forms and lists."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.core.files.uploadedfile import (
    SimpleUploadedFile,
    TemporaryUploadedFile,
    UploadedFile,
)
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils.datastructures import MultiValueDict

from competitions.admin.reference_set_forms import UploadForm
from competitions.models import (
    Competition,
    ImageRole,
    Pairing,
    Preparation,
    ReferenceImage,
    ReferenceSet,
)
from competitions.preparations import request_import
from competitions.reference_state import SetState, content_of, state_of, with_content
from competitions.services import freeze_reference_set
from tests.factories import make_competition, make_phase, make_png, make_user
from tests.organizing.scene import make_organizer
from tests.organizing.uploads import ask, bring_in, make_empty_set, pack, pictures, run

pytestmark = pytest.mark.django_db


@pytest.fixture
def competition() -> Competition:
    return make_competition(published_at=None)


@pytest.fixture
def reference_set(competition: Competition) -> ReferenceSet:
    return make_empty_set(competition)


@pytest.fixture
def organizer(competition: Competition, client: Client) -> Client:
    client.force_login(make_organizer(competition))
    return client


def address(name: str, row: ReferenceSet) -> str:
    return reverse(f"admin:competitions_referenceset_{name}", args=[row.pk])


def send(client: Client, row: ReferenceSet, *files: tuple[str, bytes], **fields: str) -> Any:
    sent = [SimpleUploadedFile(name, data) for name, data in files]
    return client.post(address("upload", row), {"pictures": sent, "role": "content", **fields})


def state(row: ReferenceSet) -> SetState:
    return state_of(with_content(ReferenceSet.objects.filter(pk=row.pk)).get())


def images(row: ReferenceSet) -> list[str]:
    return [image.name for image in ReferenceImage.objects.filter(reference_set=row)]


# --- Making one ---------------------------------------------------------------------------------
def test_a_new_set_leads_to_the_upload(organizer: Client, competition: Competition) -> None:
    add = reverse("admin:competitions_referenceset_add")
    sent = {"competition": competition.pk, "name": "Harbour", "image_size": 64, "pairing": "all"}
    response = organizer.post(add, sent)
    made = ReferenceSet.objects.get()
    assert (made.competition, made.image_size, made.pairing) == (competition, 64, Pairing.ALL)
    assert response.headers["Location"] == address("upload", made)
    assert organizer.get(address("upload", made)).status_code == 200


def test_a_set_says_how_far_it_has_come(organizer: Client, reference_set: ReferenceSet) -> None:
    def shown() -> str:
        return organizer.get(address("change", reference_set)).content.decode()

    assert state(reference_set) == SetState.EMPTY
    assert "pairs are made of them by themselves" in shown()
    waiting = ask(reference_set, pack(pictures("c.png", seed=1)))
    assert state(reference_set) == SetState.PREPARING
    assert "Waits for a worker" in shown()
    assert "hx-get" in shown()
    run(waiting)
    assert state(reference_set) == SetState.INCOMPLETE
    assert "1 image came in" in shown()
    assert "hx-get" not in shown()
    bring_in(reference_set, b"no picture")
    assert state(reference_set) == SetState.REJECTED
    assert "neither a PNG or JPEG picture nor a zip" in shown()
    bring_in(reference_set, pack(pictures("s.png", seed=2)), role=ImageRole.STYLE)
    assert state(reference_set) == SetState.READY
    freeze_reference_set(reference_set)
    assert state(reference_set) == SetState.FROZEN
    assert "it never changes" in shown()
    assert address("upload", reference_set) not in shown()


def test_the_list_asks_the_database_as_often_for_many_sets(
    organizer: Client, competition: Competition, reference_set: ReferenceSet
) -> None:
    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert organizer.get(reverse("admin:competitions_referenceset_changelist"))
        return len(queries)

    bring_in(reference_set, pack(pictures("a.png")))
    one = count()
    for number in range(5):
        other = make_empty_set(competition)
        bring_in(other, pack(pictures("a.png", "b.png", seed=number)))
    assert count() == one
    row = with_content(ReferenceSet.objects.filter(pk=other.pk)).get()
    assert (content_of(row).contents, content_of(row).images) == (2, 2)


# --- Uploading ----------------------------------------------------------------------------------
def test_several_pictures_sent_together_are_one_import(
    organizer: Client, reference_set: ReferenceSet
) -> None:
    files = [*pictures("b.png", "a.png").items()]
    response = send(organizer, reference_set, *files, credit="Ann", licence="CC0", source="a book")
    assert response.headers["Location"] == address("change", reference_set)
    waiting = Preparation.objects.get()
    assert waiting.file_name == "b.png … a.png (2)"
    assert run(waiting).status == "done"
    assert images(reference_set) == ["a", "b"]
    assert reference_set.images.filter(credit="Ann", licence="CC0", source="a book").count() == 2
    assert "b.png … a.png (2)" in LogEntry.objects.get().change_message


def test_pictures_sent_together_are_moved_where_they_are_stored_not_copied() -> None:
    files = pictures("a.png", "b.png").items()
    sent: list[UploadedFile[Any]] = [SimpleUploadedFile(name, data) for name, data in files]
    form = UploadForm({"role": "content"}, MultiValueDict({"pictures": sent}))
    assert form.is_valid()
    with form.upload() as upload:
        assert isinstance(upload, TemporaryUploadedFile)
        number = Path(upload.temporary_file_path()).stat().st_ino
        made = request_import(
            make_empty_set(), upload=upload, role=ImageRole.CONTENT, by=make_user()
        )
    assert Path(made.upload.path).stat().st_ino == number
    assert made.file_name == "a.png … b.png (2)"


def test_a_zip_is_stored_as_it_is(organizer: Client, reference_set: ReferenceSet) -> None:
    data = pack(pictures("a.png", "b.png"))
    send(organizer, reference_set, ("holiday.zip", data), role="style")
    waiting = Preparation.objects.get()
    assert (waiting.file_name, waiting.role) == ("holiday.zip", ImageRole.STYLE)
    assert waiting.upload.read() == data
    assert run(waiting).status == "done"


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ([("a.png", b"<svg/>")], "neither a PNG or JPEG"),
        ([("a.gif", b"GIF89a")], "neither a PNG or JPEG"),
        ([("a.png", make_png(1)), ("b.zip", pack(pictures("c.png")))], "not both at once"),
        ([], "required"),
    ],
)
def test_what_can_not_be_used_is_told_beside_the_field_and_not_stored(
    organizer: Client, reference_set: ReferenceSet, files: list[tuple[str, bytes]], said: str
) -> None:
    response = send(organizer, reference_set, *files)
    assert response.status_code == 200
    assert said in response.content.decode()
    assert not Preparation.objects.exists()
    assert not list(Path(settings.MEDIA_ROOT).rglob("*.bin"))


def test_more_bytes_than_a_worker_takes_are_refused(
    organizer: Client, reference_set: ReferenceSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("competitions.admin.reference_set_forms.MOST_BYTES", 100)
    response = send(organizer, reference_set, ("a.png", make_png(1)))
    assert "have more than" in response.content.decode()


def test_a_set_in_use_takes_nothing_more(organizer: Client, reference_set: ReferenceSet) -> None:
    freeze_reference_set(reference_set)
    response = send(organizer, reference_set, ("a.png", make_png(1)))
    assert "in use" in response.content.decode()
    assert not Preparation.objects.exists()


def test_a_page_that_is_left_open_follows_the_import(
    organizer: Client, reference_set: ReferenceSet
) -> None:
    waiting = ask(reference_set, pack(pictures("a.png")))
    Preparation.objects.update(progress_done=0, progress_of=7)
    response = organizer.get(address("live", reference_set))
    assert "HX-Refresh" not in response.headers
    assert "hx-get" in response.content.decode()
    run(waiting)
    assert organizer.get(address("live", reference_set)).headers["HX-Refresh"] == "true"


# --- Changing -----------------------------------------------------------------------------------
def full(reference_set: ReferenceSet) -> list[ReferenceImage]:
    bring_in(reference_set, pack(pictures("c0.png", "c1.png", "c2.png", seed=1)))
    styles = pack(pictures("s0.png", "s1.png", seed=2))
    bring_in(reference_set, styles, role=ImageRole.STYLE)
    return list(reference_set.images.filter(role=ImageRole.CONTENT))


def test_deleting_images_makes_the_pairs_anew_and_removes_their_files(
    organizer: Client,
    reference_set: ReferenceSet,
    django_capture_on_commit_callbacks: Callable[..., Any],
) -> None:
    first = full(reference_set)[0]
    with django_capture_on_commit_callbacks(execute=True):
        organizer.post(address("images", reference_set), {"images": [first.pk], "delete": "1"})
    assert [image.position for image in reference_set.images.all()] == [0, 1, 0, 1]
    pairs = [f"{pair.content} {pair.style}" for pair in reference_set.pairs.all()]
    assert pairs == ["c1 s0", "c2 s1"]
    assert not Path(first.file.path).exists()
    assert not Path(first.thumbnail.path).exists()
    assert "Deleted 1 image" in LogEntry.objects.get().change_message


def test_chosen_images_are_credited_alike_and_one_by_itself(
    organizer: Client, reference_set: ReferenceSet
) -> None:
    chosen = full(reference_set)
    words = {"credit": "Ann", "licence": "CC0", "credit-chosen": "1"}
    keys = [image.pk for image in chosen[:2]]
    organizer.post(address("images", reference_set), {"images": keys, **words})
    assert [image.credit for image in reference_set.images.filter(role="content")] == [
        "Ann",
        "Ann",
        "",
    ]
    own = reverse("admin:competitions_referenceimage_change", args=[chosen[2].pk])
    response = organizer.post(own, {"credit": "Ben", "licence": "", "source": ""})
    assert response.headers["Location"] == address("images", reference_set) + "?role=content"
    assert ReferenceImage.objects.get(pk=chosen[2].pk).credit == "Ben"


def test_nothing_chosen_is_told(organizer: Client, reference_set: ReferenceSet) -> None:
    full(reference_set)
    response = organizer.post(address("images", reference_set), {"delete": "1"})
    assert "Choose at least one image" in response.content.decode()


def test_another_way_of_pairing_makes_the_pairs_anew(
    organizer: Client, reference_set: ReferenceSet
) -> None:
    full(reference_set)
    assert reference_set.pairs.count() == 3
    response = organizer.post(address("change", reference_set), {"name": "new", "pairing": "all"})
    assert response.status_code == 302
    assert reference_set.pairs.count() == 6


def test_the_size_is_fixed_once_there_are_images(
    organizer: Client, reference_set: ReferenceSet
) -> None:
    sent = {"name": "new", "pairing": "in_turn", "image_size": 128}
    organizer.post(address("change", reference_set), sent)
    assert ReferenceSet.objects.get().image_size == 128
    bring_in(reference_set, make_png(1), file_name="a.png")
    organizer.post(address("change", reference_set), sent | {"image_size": 64})
    assert ReferenceSet.objects.get().image_size == 128


def test_of_a_set_in_use_nothing_changes(organizer: Client, reference_set: ReferenceSet) -> None:
    chosen = full(reference_set)
    freeze_reference_set(reference_set)
    before = list(ReferenceSet.objects.values()), list(ReferenceImage.objects.values())
    sent = {"images": [chosen[0].pk], "credit": "Eve"}
    assert "in use" in organizer.post(address("images", reference_set), sent).content.decode()
    sent["delete"] = "1"
    assert "in use" in organizer.post(address("images", reference_set), sent).content.decode()
    own = reverse("admin:competitions_referenceimage_change", args=[chosen[0].pk])
    assert organizer.post(own, {"credit": "Eve"}).status_code == 403
    organizer.post(address("change", reference_set), {"name": reference_set.name, "pairing": "all"})
    assert organizer.post(address("delete", reference_set), {"post": "yes"}).status_code == 403
    assert (list(ReferenceSet.objects.values()), list(ReferenceImage.objects.values())) == before


def test_a_set_that_nothing_uses_is_deleted_with_its_files(
    organizer: Client,
    reference_set: ReferenceSet,
    django_capture_on_commit_callbacks: Callable[..., Any],
) -> None:
    full(reference_set)
    ask(reference_set, pack(pictures("waiting.png")))
    assert "5" in organizer.get(address("delete", reference_set)).content.decode()
    with django_capture_on_commit_callbacks(execute=True):
        organizer.post(address("delete", reference_set), {"post": "yes"})
    assert not ReferenceSet.objects.exists()
    assert not [path for path in Path(settings.MEDIA_ROOT).rglob("*") if path.is_file()]


def test_a_set_that_a_phase_uses_is_not_deleted(
    organizer: Client, reference_set: ReferenceSet
) -> None:
    make_phase(competition=reference_set.competition, reference_set=reference_set)
    assert organizer.post(address("delete", reference_set), {"post": "yes"}).status_code == 403


# --- Who sees it --------------------------------------------------------------------------------
def test_pictures_of_a_set_that_no_phase_uses_are_for_its_organizers(
    organizer: Client, reference_set: ReferenceSet
) -> None:
    image = full(reference_set)[0]
    other = make_organizer(make_competition())
    member = make_user()
    for name in ("reference-image", "reference-thumbnail"):
        url = reverse(name, args=[image.pk])
        response = organizer.get(url)
        assert response.status_code == 200
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        for user in (None, member, other):
            stranger = Client()
            if user is not None:
                stranger.force_login(user)
            assert stranger.get(url).status_code == 404


def test_pictures_of_a_hidden_phase_stay_hidden(reference_set: ReferenceSet) -> None:
    image = full(reference_set)[0]
    competition = make_competition()
    make_phase(competition=competition, reference_set=reference_set, pairs_public=False)
    url = reverse("reference-image", args=[image.pk])
    assert Client().get(url).status_code == 404


# --- In a browser -------------------------------------------------------------------------------
@pytest.mark.django_db(transaction=True)
def test_too_many_files_are_told_of_before_they_are_sent(
    page: Any, live_server: Any, settings: Any
) -> None:
    settings.DATA_UPLOAD_MAX_NUMBER_FILES = 3
    competition = make_competition(published_at=None)
    reference_set = make_empty_set(competition)
    client = Client()
    client.force_login(make_organizer(competition))
    cookie = {"name": "sessionid", "value": client.cookies["sessionid"].value}
    page.context.add_cookies([{**cookie, "url": live_server.url}])
    page.goto(live_server.url + address("upload", reference_set))
    files = [
        {"name": name, "mimeType": "image/png", "buffer": data}
        for name, data in pictures("a.png", "b.png", "c.png", "d.png").items()
    ]
    warning = page.get_by_text("At most 3 files")
    page.locator("[name=pictures]").set_input_files(files)
    warning.wait_for()
    page.get_by_role("button", name="Upload").click()
    assert warning.is_visible()
    assert not Preparation.objects.exists()
    page.locator("[name=pictures]").set_input_files(files[:2])
    assert warning.is_hidden()
    page.get_by_label("content image").check()
    page.get_by_role("button", name="Upload").click()
    page.get_by_text("being prepared").wait_for()
    assert Preparation.objects.get().file_name == "a.png … b.png (2)"
