"""The zip of a phase's pairs: what is in it, who may have it, and how it is sent."""

import csv
import hashlib
import io
import json
import zipfile
from collections.abc import Iterator

import pytest
from django.core.files.base import ContentFile
from django.test import Client
from django.urls import reverse

from competitions.models import Pair, Phase, ReferenceImage, ReferenceSet
from competitions.pairs_zip import pack_pairs
from competitions.services import freeze_reference_set
from styletransfer.images import decode_png, pixels_sha256
from styletransfer.recipe import Recipe
from styletransfer.values import hash_pairs
from tests.factories import make_competition, make_phase, make_png, make_team, make_user

pytestmark = pytest.mark.django_db

NAMES = ("../../etc/passwd", "CON", "same", "Same", "日本", "a b/c\\d:*?", "x" * 100)


def fetch(client: Client, url: str) -> bytes:
    response = client.get(url)
    assert response.status_code == 200
    return b"".join(response.streaming_content)  # type: ignore[attr-defined]


def open_zip(phase: Phase) -> zipfile.ZipFile:
    content = fetch(Client(), reverse("pairs-zip", args=[phase.pk]))
    archive = zipfile.ZipFile(io.BytesIO(content))
    assert archive.testzip() is None
    return archive


def rows_of(archive: zipfile.ZipFile) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(archive.read("pairs.csv").decode())))


def make_set_named(*names: str, credit: str = "") -> ReferenceSet:
    """Make a set of contents with these names, all paired with one style."""
    made = ReferenceSet.objects.create(name="named", image_size=32)

    def add(role: str, position: int, name: str) -> ReferenceImage:
        png = make_png(hash((role, position)))
        return ReferenceImage.objects.create(
            reference_set=made,
            role=role,
            position=position,
            name=name,
            file=ContentFile(png, name="reference.png"),
            pixels_sha256=pixels_sha256(decode_png(png)),
            credit=credit,
            licence="CC0 1.0",
        )

    style = add("style", 0, "style")
    for position, name in enumerate(names):
        content = add("content", position, name)
        Pair.objects.create(reference_set=made, position=position, content=content, style=style)
    freeze_reference_set(made)
    return made


def test_the_pictures_are_the_stored_ones_pixel_by_pixel_and_paired_as_scored() -> None:
    phase = make_phase()
    archive = open_zip(phase)
    pairs = phase.reference_set.pairs.select_related("content", "style").order_by("position")
    rows = rows_of(archive)
    assert [int(row["position"]) for row in rows] == [pair.position for pair in pairs] == [0, 1]
    for row, pair in zip(rows, pairs, strict=True):
        for image, path in ((pair.content, row["content"]), (pair.style, row["style"])):
            assert pixels_sha256(decode_png(archive.read(path))) == image.pixels_sha256
    pictures = {name for name in archive.namelist() if name.endswith(".png")}
    assert pictures == {row[role] for row in rows for role in ("content", "style")}
    assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}


def test_what_nobody_gets_to_see_is_not_in_it() -> None:
    phase = make_phase()
    reals = phase.reference_set.images.filter(role="real")
    hidden = {hashlib.sha256(image.file.read()).hexdigest() for image in reals}
    archive = open_zip(phase)
    found = {hashlib.sha256(archive.read(name)).hexdigest() for name in archive.namelist()}
    assert hidden
    assert not hidden & found


def test_the_recipe_in_it_is_the_one_that_scores() -> None:
    phase = make_phase()
    described = json.loads(open_zip(phase).read("recipe.json"))
    recipe = Recipe.from_json(described["recipe"])
    assert recipe.sha256() == described["recipe_sha256"] == phase.recipe.sha256
    assert described["extractors"]["vgg"] == phase.extractors["vgg"].to_json()
    assert described["reference_set"]["sha256"] == phase.reference_set.sha256
    pairs = phase.reference_set.pairs.select_related("content", "style").order_by("position")
    shown = [(pair.content.pixels_sha256, pair.style.pixels_sha256) for pair in pairs]
    assert described["reference_set"]["pairs_sha256"] == hash_pairs(shown)
    assert described["limits"]["time_limit_s"] == phase.time_limit_s


def test_names_are_unique_and_safe_on_every_system() -> None:
    phase = make_phase(reference_set=make_set_named(*NAMES))
    archive = open_zip(phase)
    names = archive.namelist()
    assert len({name.lower() for name in names}) == len(names) == len(NAMES) + 4
    for name in names:
        assert name.isascii()
        assert not name.startswith("/")
        assert ".." not in name.split("/")
        assert not set(name) & set('\\:*?"<>| ')
        assert len(name) < 100
    assert all(archive.read(row["content"]) for row in rows_of(archive))


@pytest.mark.parametrize("start", ["=", "  =", "\N{FULLWIDTH EQUALS SIGN}", "@"])
def test_a_credit_is_no_formula_in_a_spreadsheet(start: str) -> None:
    credit = f'{start}HYPERLINK("x")'
    phase = make_phase(reference_set=make_set_named("one", credit=credit))
    (row,) = rows_of(open_zip(phase))
    assert row["content_credit"] == f"'{credit}"
    assert row["content_licence"] == "CC0 1.0"


def test_equal_contents_are_not_sent_twice() -> None:
    phase = make_phase()
    url = reverse("pairs-zip", args=[phase.pk])
    first = Client().get(url)
    content = b"".join(first.streaming_content)  # type: ignore[attr-defined]
    assert fetch(Client(), url) == content
    etag = first["ETag"]
    assert "private" in first["Cache-Control"]
    assert Client().get(url, headers={"if-none-match": etag}).status_code == 304
    Phase.objects.update(time_limit_s=77)
    changed = Client().get(url, headers={"if-none-match": etag})
    assert changed.status_code == 200
    assert changed["ETag"] != etag
    assert Client().head(url)["ETag"] == changed["ETag"]


def test_one_picture_at_a_time_is_in_memory() -> None:
    chunks: Iterator[bytes] = pack_pairs(make_phase()).chunks()
    sizes = [len(chunk) for chunk in chunks]
    assert len(sizes) == 3 + 3 + 1  # texts, pictures, the directory at the end
    assert max(sizes) < 2000


def test_hidden_pairs_are_for_organizers_only() -> None:
    phase = make_phase(pairs_public=False)
    organizer, other, member = make_user(), make_user(), make_user()
    phase.competition.organizers.add(organizer)
    make_competition().organizers.add(other)
    make_team(member, phase=phase)
    for route in ("pairs-zip", "api-phase-pairs"):
        url = reverse(route, args=[phase.pk])
        for user in (None, other, member):
            client = Client()
            if user:
                client.force_login(user)
            assert client.get(url).status_code == 404
            assert client.head(url).status_code == 404
        client = Client()
        client.force_login(organizer)
        assert fetch(client, url).startswith(b"PK")


def test_public_pairs_of_a_draft_are_for_organizers_only() -> None:
    phase = make_phase(competition=make_competition(published_at=None))
    for route in ("pairs-zip", "api-phase-pairs"):
        assert Client().get(reverse(route, args=[phase.pk])).status_code == 404


def test_the_interface_for_programs_leads_to_the_same_zip() -> None:
    phase = make_phase()
    url = reverse("api-competition", args=[phase.competition.slug])
    (described,) = Client().get(url).json()["phases"]
    content = fetch(Client(), described["links"]["pairs"])
    assert content == fetch(Client(), reverse("pairs-zip", args=[phase.pk]))
    Phase.objects.update(pairs_public=False)
    (described,) = Client().get(url).json()["phases"]
    assert "pairs" not in described["links"]
