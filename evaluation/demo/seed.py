"""Fill in the demo competition: pictures, phases, people, and baselines that queue like anybody.

Everything is made once: a second call finds it and changes nothing.
"""

import secrets
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from allauth.account.models import EmailAddress
from django.contrib.auth import get_user_model
from django.core.files.base import ContentFile
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import transaction
from django.utils.timezone import now

from competitions.errors import Conflict, Forbidden
from competitions.models import (
    Announcement,
    Competition,
    ImageRole,
    Pair,
    Participant,
    Phase,
    Preparation,
    PreparationKind,
    PreparationStatus,
    ReferenceImage,
    ReferenceSet,
    ScoringRecipe,
    Team,
)
from competitions.organizers import add_organizer
from competitions.people import User as Person
from competitions.services import freeze_reference_set, join
from competitions.teams import hash_terms
from evaluation.demo import texts
from evaluation.demo.baselines import (
    Baseline,
    discriminator_bytes,
    identity_baseline,
    style_paste_baseline,
    trained_baseline,
)
from evaluation.demo.calibration import shipped_recipe
from evaluation.demo.image import SIDE, DemoImage
from evaluation.demo.phases import VGG, DemoPhase, demo_phases
from styletransfer.images import encode_png, encode_thumbnail, pixels_sha256
from styletransfer.pretrained import extractor_pin
from styletransfer.surrogates import BY_ROLE as SURROGATES
from submissions.models import Submission
from submissions.services import submit

User = get_user_model()

SLUG = "photo-to-painting"
OPEN_FOR = timedelta(days=365)


def seed_demo(accounts_file: Path) -> Competition:
    """Make what is missing of the demo; write the demo accounts' passwords to a private file."""
    competition = Competition.objects.filter(slug=SLUG).first() or _make_competition()
    _make_people(competition, accounts_file)
    for phase in competition.phases.all():
        for baseline in _baselines(phase.name):
            _enter(baseline, phase)
    return competition


def _baselines(phase_name: str) -> list[Baseline]:
    plain = [identity_baseline(), style_paste_baseline()]
    return [trained_baseline(), *plain] if phase_name == "One style" else plain


@dataclass(frozen=True)
class _Encoded:
    """A picture as it is stored."""

    image: DemoImage
    png: bytes
    thumbnail: bytes
    pixels_sha256: str


@dataclass(frozen=True)
class EncodedPhase:
    """A phase with its pictures as they are stored."""

    phase: DemoPhase
    images: dict[ImageRole, list[_Encoded]]


def _make_competition() -> Competition:
    # All drawing and encoding comes first: SQLite has one writer, and others would wait for it.
    encoded = [encode_phase(phase) for phase in demo_phases()]
    with transaction.atomic():
        return _write_competition(encoded)


def encode_phase(phase: DemoPhase) -> EncodedPhase:
    """Encode every picture of a phase."""
    images = {
        ImageRole.CONTENT: phase.contents,
        ImageRole.STYLE: phase.styles,
        ImageRole.REAL: phase.reals,
    }
    return EncodedPhase(
        phase, {role: [_encode_image(image) for image in some] for role, some in images.items()}
    )


def _encode_image(image: DemoImage) -> _Encoded:
    pixels = image.pixels
    return _Encoded(image, encode_png(pixels), encode_thumbnail(pixels), pixels_sha256(pixels))


def _write_competition(phases: list[EncodedPhase]) -> Competition:
    competition = Competition.objects.create(
        slug=SLUG,
        title="Photo to painting",
        summary=texts.SUMMARY,
        description=texts.DESCRIPTION,
        rules=texts.RULES,
        data_description=texts.DATA,
        terms=texts.TERMS,
        published_at=now(),
    )
    Announcement.objects.create(
        competition=competition,
        title=texts.ANNOUNCEMENT_TITLE,
        body=texts.ANNOUNCEMENT,
        published_at=now(),
    )
    for position, encoded in enumerate(phases, start=1):
        add_phase(competition, encoded, position)
    return competition


def add_phase(competition: Competition, encoded: EncodedPhase, position: int) -> Phase:
    """Store a phase with its pictures and the recipe that is shipped for one of its name."""
    phase = encoded.phase
    references = _make_references(competition, encoded)
    recipe = _make_recipe(competition, phase.name)
    _record_calibration(recipe, references)
    return _make_phase(
        competition,
        name=phase.name,
        position=position,
        description=phase.description,
        reference_set=references,
        recipe=recipe,
    )


def _make_references(competition: Competition, encoded: EncodedPhase) -> ReferenceSet:
    made = ReferenceSet.objects.create(
        competition=competition, name=f"{SLUG}: {encoded.phase.name}", image_size=SIDE
    )
    rows = {
        role: [_make_image(made, role, position, image) for position, image in enumerate(images)]
        for role, images in encoded.images.items()
    }
    for position, (content, style) in enumerate(encoded.phase.pairs):
        Pair.objects.create(
            reference_set=made,
            position=position,
            content=rows[ImageRole.CONTENT][content],
            style=rows[ImageRole.STYLE][style],
        )
    freeze_reference_set(made)
    return made


def _make_image(
    reference_set: ReferenceSet, role: ImageRole, position: int, encoded: _Encoded
) -> ReferenceImage:
    image = encoded.image
    return ReferenceImage.objects.create(
        reference_set=reference_set,
        role=role,
        position=position,
        name=image.name,
        file=ContentFile(encoded.png, name=f"{image.name}.png"),
        thumbnail=ContentFile(encoded.thumbnail, name=f"{image.name}.webp"),
        pixels_sha256=encoded.pixels_sha256,
        credit=image.credit,
        licence=image.licence,
        source=image.source,
    )


def _make_recipe(competition: Competition, phase_name: str) -> ScoringRecipe:
    value = shipped_recipe(phase_name)
    return ScoringRecipe.objects.create(
        competition=competition,
        name=f"{SLUG}: {phase_name}",
        content_layer=value.content_layer,
        style_layers=list(value.style_layers),
        style_weights=list(value.style_weights),
        normalization=value.normalization,
        alpha=value.alpha,
        beta=value.beta,
        gamma=value.gamma,
        metrics=list(value.metrics),
        discriminator=ContentFile(discriminator_bytes(), name="discriminator.safetensors"),
        discriminator_sha256=value.discriminator_sha256 or "",
        sha256=value.sha256(),
    )


def _record_calibration(recipe: ScoringRecipe, references: ReferenceSet) -> None:
    """Say where the weights are from: ``train_baseline`` measured them on these very pictures."""
    vgg = extractor_pin(VGG)
    Preparation.objects.create(
        kind=PreparationKind.CALIBRATION,
        reference_set=references,
        recipe=recipe,
        status=PreparationStatus.DONE,
        result={
            "vgg": {"name": vgg.name, "sha256": vgg.sha256},
            "alpha": recipe.alpha,
            "beta": recipe.beta,
            "gamma": recipe.gamma,
        },
        finished_at=now(),
    )


def _make_phase(competition: Competition, recipe: ScoringRecipe, **fields: object) -> Phase:
    return Phase.objects.create(
        competition=competition,
        opens_at=now(),
        closes_at=now() + OPEN_FOR,
        pairs_public=True,
        quota_per_day=20,
        quota_concurrent=4,
        ranking_metric="total",
        pinned={
            role: extractor_pin(name).to_json()
            for role, name in SURROGATES.items()
            if role in recipe.as_value().extractors
        },
        recipe=recipe,
        **fields,
    )


def _make_people(competition: Competition, accounts_file: Path) -> None:
    """Make one person of each kind, with passwords of their own."""
    passwords: dict[str, str] = {}
    for username in ("administrator", "organizer", "participant"):
        user, is_new = User.objects.get_or_create(
            username=username, defaults={"email": f"{username}@example.org"}
        )
        if is_new:
            passwords[username] = secrets.token_urlsafe(9)
            user.set_password(passwords[username])
            user.is_staff = user.is_superuser = username == "administrator"
            user.save()
            EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
        if username == "organizer":
            add_organizer(competition, user)
        elif username == "participant" and not _takes_part(user, competition):
            accepted = hash_terms(competition)
            join(user, competition, team_name="Demo team", accepted_terms=accepted)
    if passwords:
        accounts_file.touch(mode=0o600)
        with accounts_file.open("a") as file:  # a demo of an older version has two of them
            file.writelines(f"{username}  {password}\n" for username, password in passwords.items())


def _takes_part(user: Person, competition: Competition) -> bool:
    return Participant.objects.filter(user=user, competition=competition).exists()


def _enter(baseline: Baseline, phase: Phase) -> None:
    """Submit a baseline for a team of its own, unless it is in already."""
    team, _ = Team.objects.get_or_create(
        competition=phase.competition, name=baseline.name, defaults={"is_baseline": True}
    )
    user, is_new = User.objects.get_or_create(
        username=f"baseline-{baseline.filename.partition('.')[0].replace('_', '-')}"
    )
    if is_new:
        user.set_unusable_password()
        user.save()
    Participant.objects.get_or_create(
        user=user, competition=phase.competition, defaults={"team": team}
    )
    if Submission.objects.filter(phase=phase, team=team).exists():
        return
    upload = SimpleUploadedFile(baseline.filename, baseline.checkpoint)
    try:
        submit(by=user, phase=phase, checkpoint=upload, manifest=baseline.manifest)
    except (Conflict, Forbidden):
        return  # another start of the demo was quicker, or an organizer's phase is not open
