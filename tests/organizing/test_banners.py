"""A competition's banner: made by a worker of what was uploaded, seen by whoever sees the rest."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from PIL import Image, ImageCms

from competitions import banners
from competitions.models import Banner, Competition, Preparation, PreparationStatus
from competitions.preparation_problems import CODES, problem_of
from competitions.preparations import request_banner
from evaluation import banners as making
from evaluation import sweeper, tasks
from tests.factories import make_competition, make_user, silence
from tests.organizing.scene import make_organizer
from tests.organizing.uploads import run

pytestmark = pytest.mark.django_db(transaction=True)


def stored() -> list[str]:
    root = Path(settings.MEDIA_ROOT)
    return sorted(
        str(path.relative_to(root))
        for folder in ("banners", "uploads")
        for path in (root / folder).rglob("*")
        if path.is_file()
    )


def encode(picture: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def plain(width: int = 1000, height: int = 300, colour: Any = (200, 30, 30)) -> bytes:
    return encode(Image.new("RGB", (width, height), colour))


def ask(competition: Competition, data: bytes, alt: str = "", name: str = "a.png") -> Preparation:
    upload = SimpleUploadedFile(name, data)
    return request_banner(competition, upload=upload, alt=alt, by=make_user())


def make(competition: Competition, data: bytes | None = None, **options: str) -> Banner:
    done = run(ask(competition, plain() if data is None else data, **options))
    assert done.status == PreparationStatus.DONE, done.problem_facts
    return Banner.objects.get(competition=competition)


def opened(banner: Banner) -> Image.Image:
    with banner.file.open("rb") as file, Image.open(file) as picture:
        assert picture.format == "WEBP"
        assert not {"exif", "icc_profile", "xmp"} & set(picture.info)
        return picture.convert("RGB")


# --- What a worker makes of it ------------------------------------------------------------------
def test_the_middle_is_cut_out_and_made_smaller_but_never_larger() -> None:
    stripes = np.zeros((1200, 2400, 3), np.uint8)
    stripes[300:900] = (0, 160, 0)
    banner = make(make_competition(), encode(Image.fromarray(stripes)), alt="A meadow")
    assert (banner.width, banner.height, banner.alt) == (1600, 400, "A meadow")
    picture = np.asarray(opened(banner)).astype(int)
    assert picture.shape == (400, 1600, 3)
    assert abs(picture - (0, 160, 0)).max() <= 8  # WebP; the black above and below is cut off
    small = make(make_competition(), plain(1001, 999))
    assert (small.width, small.height) == (1000, 250)
    assert len(stored()) == 2  # no upload is left


@pytest.mark.parametrize("mode", ["CMYK", "I;16", "RGBA", "P", "L", "1"])
def test_whatever_the_mode_it_becomes_srgb(mode: str) -> None:
    if mode == "I;16":
        picture = Image.fromarray(np.full((300, 1000), 0x8080, np.uint16))
    else:
        picture = Image.new("RGB", (1000, 300), (128, 128, 128)).convert(mode)
    kind = "JPEG" if mode == "CMYK" else "PNG"
    made = np.asarray(opened(make(make_competition(), encode(picture, kind)))).astype(int)
    assert abs(made.mean() - 128) < 6


def test_it_is_turned_upright_and_loses_exif_and_profile() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # lies on its side
    exif[0x010E] = "where I live"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    data = encode(
        Image.new("RGB", (250, 1000), "blue"), "JPEG", exif=exif.tobytes(), icc_profile=profile
    )
    banner = make(make_competition(), data)
    assert opened(banner).size == (1000, 250)
    with banner.file.open("rb") as file:
        assert b"where I live" not in file.read()


def bomb() -> bytes:
    return encode(Image.new("1", (10_001, 5_000)))


def moving() -> bytes:
    frames = [Image.new("RGB", (1000, 300), colour) for colour in ("red", "blue")]
    return encode(frames[0], save_all=True, append_images=frames[1:])


@pytest.mark.parametrize(
    ("data", "code", "said"),
    [
        (b"<svg/>", "not_png_or_jpeg", "neither PNG nor JPEG"),
        (b"", "not_png_or_jpeg", "neither PNG nor JPEG"),
        (encode(Image.effect_noise((1000, 300), 50))[:5000], "damaged_picture", "damaged"),
        (plain()[:20], "damaged_picture", "damaged"),
        (bomb(), "picture_too_large", "50 megapixels"),
        (moving(), "animated_picture", "single frame"),
        (plain(799, 799), "banner_too_small", "799 by 799"),
        (plain(3000, 199), "banner_too_small", "800 by 200"),
        (plain(300, 1000), "banner_too_small", "300 by 1000"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_what_can_not_be_a_banner_is_refused_and_the_one_before_stays(
    data: bytes, code: str, said: str
) -> None:
    competition = make_competition()
    before = make(competition)
    done = run(ask(competition, data, name="b.png"))
    assert (done.status, done.problem_code) == (PreparationStatus.REJECTED, code)
    assert code in CODES
    detail = problem_of(done)
    assert said in detail
    assert "b.png" in detail
    assert not {"?", "{"} & set(detail)
    assert Banner.objects.get() == before
    assert stored() == [before.file.name]


# --- One instead of another ---------------------------------------------------------------------
def test_a_new_banner_has_a_new_address_and_the_old_file_goes() -> None:
    competition = make_competition()
    first, second = make(competition), make(competition, plain(colour=(0, 0, 200)))
    assert first.get_absolute_url() != second.get_absolute_url()
    assert stored() == [second.file.name]
    assert banners.remove_banner(competition)
    assert not banners.remove_banner(competition)
    assert stored() == []


def test_a_deleted_competition_takes_its_banner_and_its_uploads_with_it() -> None:
    competition = make_competition()
    make(competition)
    ask(competition, plain())
    assert len(stored()) == 2
    banners.delete_competition(competition)
    assert stored() == []
    assert not Preparation.objects.exists()


class _Killed(BaseException):
    """Stands for SIGKILL: nothing of the attempt's own cleaning up is to run."""


def test_a_killed_worker_leaves_nothing_half_done(monkeypatch: pytest.MonkeyPatch) -> None:
    competition = make_competition()
    before = make(competition)
    waiting = ask(competition, plain(), alt="after")

    def die(*_args: Any) -> None:
        raise _Killed

    with monkeypatch.context() as patched:
        patched.setattr(making, "set_banner", die)
        patched.setattr(making, "remove_leftovers", lambda *_, **__: None)
        with pytest.raises(_Killed):
            tasks.prepare(str(waiting.pk))
    assert len(stored()) == 3  # the banner, the upload, and what the dead attempt wrote
    assert Banner.objects.get() == before
    waiting.refresh_from_db()
    silence(waiting)
    assert sweeper.sweep().lost == 1
    Preparation.objects.filter(pk=waiting.pk).update(not_before=None)
    assert run(waiting).status == PreparationStatus.DONE
    now_there = Banner.objects.get()
    assert (now_there.alt, stored()) == ("after", [now_there.file.name])


# --- The organizer's page -----------------------------------------------------------------------
@pytest.fixture
def competition() -> Competition:
    return make_competition(published_at=None)


@pytest.fixture
def client(competition: Competition) -> Client:
    client = Client()
    client.force_login(make_organizer(competition))
    return client


def page_of(competition: Competition, name: str = "banner") -> str:
    return reverse(f"admin:competitions_competition_{name}", args=[competition.pk])


def send(client: Client, competition: Competition, data: bytes | None, **fields: str) -> str:
    sent: dict[str, Any] = dict(fields)
    if data is not None:
        sent["picture"] = SimpleUploadedFile(fields.pop("name", "a.png"), data)
    response = client.post(page_of(competition), {"alt": "", **sent}, follow=True)
    assert response.status_code == 200
    return response.content.decode()


def test_an_organizer_uploads_describes_and_removes_a_banner(
    client: Client, competition: Competition
) -> None:
    assert "being prepared" in send(client, competition, plain(), alt="A field")
    again = send(client, competition, plain())
    assert "is being prepared still" in again
    live = client.get(page_of(competition, "banner-live"))
    assert "a.png" in live.content.decode()
    run(Preparation.objects.get())
    assert client.get(page_of(competition, "banner-live"))["HX-Refresh"] == "true"
    page = client.get(page_of(competition)).content.decode()
    banner = Banner.objects.get()
    assert banner.get_absolute_url() in page
    assert "A field" in page
    send(client, competition, None, alt="A <field> in May")
    assert Banner.objects.get().alt == "A <field> in May"
    assert Banner.objects.get().pk == banner.pk
    assert "A &lt;field&gt; in May" in client.get(competition.get_absolute_url()).content.decode()
    assert client.get(page_of(competition, "remove-banner")).status_code == 405
    client.post(page_of(competition, "remove-banner"))
    assert not Banner.objects.exists()
    assert stored() == []


def test_what_is_refused_is_said_on_the_page_in_both_languages_and_needs_attention(
    client: Client, competition: Competition, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "neither a PNG nor a JPEG" in send(client, competition, b"GIF89a")
    assert "is required" in send(client, competition, None, alt="words")
    monkeypatch.setattr("competitions.admin.banner.MOST_BYTES", 100)
    assert "more than 100" in send(client, competition, plain())
    assert stored() == []
    run(ask(competition, plain(300, 300), name="tiny.png"))
    assert "300 by 300 pixels" in client.get(page_of(competition)).content.decode()
    chinese = client.get(page_of(competition), headers={"Accept-Language": "zh-hans"})
    assert "tiny.png 只有 300" in chinese.content.decode()
    index = client.get(reverse("admin:index")).content.decode()
    assert "tiny.png" in index
    assert page_of(competition) in index


# --- Who sees it --------------------------------------------------------------------------------
def test_a_banner_is_seen_by_whoever_sees_its_competition(
    client: Client, competition: Competition
) -> None:
    address = make(competition, alt="A field").get_absolute_url()
    stranger = Client()
    stranger.force_login(make_organizer(make_competition()))
    for other in (Client(), stranger):
        assert other.get(address).status_code == 404
    assert stranger.get(page_of(competition)).status_code in {302, 404}
    assert stranger.post(page_of(competition, "remove-banner")).status_code in {302, 404}
    assert Banner.objects.exists()
    served = client.get(address)
    assert (served.status_code, served["Content-Type"]) == (200, "image/webp")
    Competition.objects.update(published_at="2020-01-01T00:00Z")
    assert Client().get(address).status_code == 200
    for page in (reverse("home"), competition.get_absolute_url()):
        html = Client().get(page).content.decode()
        (tag,) = [line for line in html.splitlines() if address in line]
        assert 'alt="A field" width="1000" height="250"' in tag
        assert ('loading="lazy"' in tag) == (page == reverse("home"))
    rows = Client().get("/api/v1/competitions/").json()["results"]
    own = Client().get(f"/api/v1/competitions/{competition.slug}/").json()
    banners_by_slug = {row["slug"]: (row["banner"], row["banner_alt"]) for row in [*rows, own]}
    assert banners_by_slug.pop(competition.slug) == (address, "A field")
    assert list(banners_by_slug.values()) == [(None, "")]
