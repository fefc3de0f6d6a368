"""The only module that drives the torch core: one attempt, step by step."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
from django.conf import settings
from django.db import close_old_connections

from competitions.models import Pair, Phase, ScoringRecipe
from evaluation import services
from evaluation.first_looks import FirstLook
from evaluation.lease import Lease
from evaluation.models import EvaluationRun, Stage
from evaluation.overlap import has_cores_for_both, take_while_made
from evaluation.references import load_references
from evaluation.sandbox import GeneratorJob, Limits, SandboxStopped, Stylised
from evaluation.second_pass import make_second_pass
from evaluation.stored_checkpoint import (
    converted_copy,
    is_state_dict,
    local_copy,
    manifest_for_sandbox,
)
from evaluation.worker import sandboxes
from styletransfer import calibration
from styletransfer.determinism import arithmetic, make_deterministic, versions
from styletransfer.devices import open_device
from styletransfer.first_look import look
from styletransfer.images import decode_png, encode_png, encode_thumbnail
from styletransfer.manifest import Manifest
from styletransfer.pinned import open_vgg
from styletransfer.recipe import Recipe
from styletransfer.sample_pair import make_content, make_style
from styletransfer.score_card import ScoreCard
from styletransfer.scoring import Scorer
from styletransfer.second_pass import choose_order
from styletransfer.values import ExtractorPin, Image, ReferenceImages

# One picture is enough to see that a generator loads and answers.
CHECKED_PAIRS = 1
CHECK_TIME_LIMIT_S = 60


def perform(run: EvaluationRun, lease: Lease) -> None:
    """Check or evaluate ``run.submission`` and record what came of it.

    Raises:
        CheckpointRejected: the participant's fault, found in the sandbox.
        SandboxStopped: the submission was cancelled or taken over.
    """
    phase = run.submission.phase
    make_deterministic(settings.EVALUATION_THREADS)
    run.versions = {**arithmetic(open_device(settings.EVALUATION_DEVICE)), **versions()}
    with step(run, lease, "references"):
        references = load_references(phase.reference_set_id, phase.reference_set.sha256)
    if run.stage == Stage.CHECK:
        check(run, lease, references)
    else:
        evaluate(run, lease, references)


def check(run: EvaluationRun, lease: Lease, references: ReferenceImages) -> None:
    """Make one picture, and look at it as the team will."""
    if not run.submission.phase.pairs_public:
        references = _test_card(run.submission.phase.reference_set.image_size)
    content, style = (
        images[name]
        for images, name in zip(
            (references.contents, references.styles), references.pairs[0], strict=True
        )
    )
    made = generate(run, lease, references, range(CHECKED_PAIRS))
    manifest = made.proposal.manifest if made.proposal else run.submission.manifest
    manifest = Manifest.model_validate(manifest)
    takes_style = "style" in manifest.roles()
    services.record_check_passed(
        run,
        proposal=made.proposal,
        first=FirstLook(
            content=encode_png(content),
            style=encode_png(style) if takes_style else b"",
            picture=encode_png(made.outputs[0]),
            is_test_card=not run.submission.phase.pairs_public,
            hints=[hint.to_json() for hint in look(made.outputs[0], content, manifest)],
        ),
    )


def _test_card(side: int) -> ReferenceImages:
    """Stand in for pairs that nobody but organizers may see."""
    return ReferenceImages(
        contents=[make_content(side)],
        styles=[make_style(side)],
        pairs=[(0, 0)],
        reals=[],
        sha256="",
    )


def evaluate(run: EvaluationRun, lease: Lease, references: ReferenceImages) -> None:
    phase = run.submission.phase
    with step(run, lease, "preparing"):
        scorer = make_scorer(phase)
        scorer.prepare(_reporter(lease, "preparing"))
        meter = scorer.begin(checkpoint_sha256=run.submission.sha256)
    pictures: list[services.Picture] = []

    def take(output: Image) -> None:
        meter.take(output)
        pictures.append(services.Picture(encode_png(output), encode_thumbnail(output)))
        if "generating" in run.steps:  # before, the generator's own progress is shown
            _reporter(lease, "scoring")(len(pictures), len(references.pairs))

    def make(put: Callable[[Image], None], gave_up: Callable[[], bool]) -> Stylised:
        numbers = range(len(references.pairs))
        return generate(run, lease, references, numbers, on_picture=put, gave_up=gave_up)

    made = take_while_made(make, take, at_once=has_cores_for_both(settings.EVALUATION_THREADS))
    with step(run, lease, "scoring"):
        card = meter.finish().with_measurements(made.measure())
    card = guard(run, lease, references, scorer, card, pictures)
    with step(run, lease, "recording"):
        pairs = list(Pair.objects.filter(reference_set=phase.reference_set).order_by("position"))
    services.record_scores(run, card, pairs=pairs, pictures=pictures)


def guard(
    run: EvaluationRun,
    lease: Lease,
    references: ReferenceImages,
    scorer: Scorer,
    card: ScoreCard,
    pictures: Sequence[services.Picture],
) -> ScoreCard:
    """Look for what scores don't show; the card comes back with its scores as they were."""

    def scored(number: int) -> Image:
        return decode_png(pictures[number].png)

    with step(run, lease, "sensitivity"):
        found = scorer.measure_sensitivity(scored, _reporter(lease, "sensitivity"))
        card = found.add_to(card)
    order = choose_order(len(pictures), scorer.seed(run.submission.sha256))
    if order:
        again = partial(generate, run, lease, references, name="order")
        card = make_second_pass(run, lease, order, scored, again).add_to(card)
    return card


def generate(
    run: EvaluationRun,
    lease: Lease,
    references: ReferenceImages,
    numbers: Sequence[int],
    *,
    name: str = "generating",
    on_picture: Callable[[Image], None] | None = None,
    gave_up: Callable[[], bool] = lambda: False,
) -> Stylised:
    """Run the generator in a fresh sandbox over some pairs, by their numbers."""
    phase = run.submission.phase
    chosen = [references.pairs[number] for number in numbers]
    manifest = manifest_for_sandbox(run.submission)
    takes_style = manifest is None or any(x["role"] == "style" for x in manifest["inputs"])
    limit_s = float(phase.time_limit_s)
    if run.stage == Stage.CHECK:
        limit_s = min(limit_s, CHECK_TIME_LIMIT_S)
    with (
        _checkpoint_for_sandbox(run, lease, gave_up) as checkpoint,
        step(run, lease, name),
    ):
        made = sandboxes().run(
            GeneratorJob(
                checkpoint=checkpoint,
                manifest=manifest,
                contents=np.stack([references.contents[content] for content, _ in chosen]),
                styles=(
                    np.stack([references.styles[style] for _, style in chosen])
                    if takes_style
                    else None
                ),
            ),
            Limits(
                wall_s=limit_s,
                memory_bytes=phase.memory_limit_bytes,
                cpu_threads=settings.EVALUATION_THREADS,
            ),
            on_progress=_reporter(lease, name),
            on_picture=on_picture,
            should_stop=lambda: lease.should_stop or gave_up(),
        )
    if name == "generating":
        run.steps |= {"load": round(made.load_s, 3), "run": round(made.run_s, 3)}
        run.log = made.log
    return made


@contextmanager
def _checkpoint_for_sandbox(
    run: EvaluationRun, lease: Lease, gave_up: Callable[[], bool]
) -> Iterator[Path]:
    if not is_state_dict(run.submission):
        with local_copy(run.submission) as path:
            yield path
        return
    with ExitStack() as kept:
        with step(run, lease, "converting"):
            copy = converted_copy(
                run.submission,
                wall_s=CHECK_TIME_LIMIT_S,
                should_stop=lambda: lease.should_stop or gave_up(),
            )
            path = kept.enter_context(copy)
        yield path


def make_scorer(phase: Phase) -> Scorer:
    return _scorer(
        phase.recipe.as_value(),
        phase.recipe_id,
        (phase.reference_set_id, phase.reference_set.sha256),
        tuple(phase.extractors.items()),
    )


# By value: what a draft phase changes of its recipe, set or networks makes another scorer.
@lru_cache(maxsize=2)
def _scorer(
    recipe: Recipe,
    recipe_id: int,
    references: tuple[int, str],
    extractors: tuple[tuple[str, ExtractorPin], ...],
) -> Scorer:
    discriminator: bytes | None = None
    stored = ScoringRecipe.objects.get(pk=recipe_id).discriminator
    if stored:
        with stored.open("rb") as file:
            discriminator = file.read()
    return Scorer(
        recipe,
        load_references(*references),
        dict(extractors),
        discriminator,  # refused if it is not the one that the recipe names
        cache_dir=settings.FEATURE_CACHE_DIR,
        weights_dir=settings.WEIGHTS_DIR,
        device=settings.EVALUATION_DEVICE,
    )


def open_pinned(vgg: ExtractorPin, recipe: Recipe) -> None:
    """Make sure that the network is there before anything is measured with it.

    Raises:
        WeightsUnavailable, WeightsMismatch: it is not.
    """
    open_vgg(vgg, recipe, settings.WEIGHTS_DIR)


def calibrate(
    recipe: Recipe,
    references: ReferenceImages,
    vgg: ExtractorPin,
    discriminator: bytes | None,
    on_progress: Callable[[int, int], None],
) -> Recipe:
    """Return the recipe with weights by which the terms of its total count alike on a set."""
    make_deterministic(settings.EVALUATION_THREADS)
    return calibration.calibrate(
        recipe,
        references,
        vgg,
        discriminator,
        cache_dir=settings.FEATURE_CACHE_DIR,
        weights_dir=settings.WEIGHTS_DIR,
        on_progress=on_progress,
    )


def _reporter(lease: Lease, name: str) -> Callable[[int, int], None]:
    """Return what passes progress on, and stops work that is no longer ours."""

    def report(done: int, of: int) -> None:
        lease.report(name, done, of)
        if lease.should_stop:
            raise SandboxStopped

    return report


@contextmanager
def step(run: EvaluationRun, lease: Lease, name: str) -> Iterator[None]:
    """Time a step, show it to those who watch; do not begin it if there is no reason to go on."""
    if lease.should_stop:
        raise SandboxStopped
    lease.report(name)
    started = time.monotonic()
    try:
        yield
    finally:
        run.steps[name] = round(time.monotonic() - started, 3)
        # A step takes long enough for a database to be restarted: what it found shall not be lost.
        close_old_connections()
