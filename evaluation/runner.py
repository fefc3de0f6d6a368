"""The only module that drives the torch core: one attempt, step by step; free of Django."""

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from evaluation.assignment import Checked, FirstLook, Picture
from evaluation.attempts import Attempt
from evaluation.checkpoint_copies import converted_copy
from evaluation.desk import Desk
from evaluation.overlap import has_cores_for_both, take_while_made
from evaluation.sandbox import GeneratorJob, Limits, SandboxStopped, Stylised
from evaluation.second_pass import make_second_pass
from evaluation.workplace import Workplace
from styletransfer import calibration
from styletransfer.determinism import arithmetic, make_deterministic, versions
from styletransfer.devices import open_device
from styletransfer.first_look import look
from styletransfer.images import decode_png, encode_png, encode_thumbnail
from styletransfer.manifest import Manifest
from styletransfer.pinned import open_vgg
from styletransfer.recipe import Recipe
from styletransfer.sample_pair import make_content, make_style
from styletransfer.scoring import Scorer
from styletransfer.second_pass import choose_order, order_within
from styletransfer.shard import ShardResult
from styletransfer.values import ExtractorPin, Image, ReferenceImages

# One picture is enough to see that a generator loads and answers.
CHECKED_PAIRS = 1
CHECK_TIME_LIMIT_S = 60
# Of the phases that came last: their networks are loaded, and the references measured.
_SCORERS_KEPT = 2
_scorers: OrderedDict[tuple[object, ...], Scorer] = OrderedDict()


def perform(attempt: Attempt) -> None:
    """Check or evaluate what is assigned and hand in what came of it.

    Raises:
        CheckpointRejected: the participant's fault, found in the sandbox.
        SandboxStopped: the submission was cancelled or taken over.
    """
    place = attempt.place
    make_deterministic(place.threads)
    attempt.notes.versions = {**arithmetic(open_device(place.device)), **versions()}
    if attempt.desk.assignment.stage == "check":
        check(attempt)
    elif attempt.desk.assignment.puts_together:
        put_together(attempt)
    else:
        evaluate(attempt)


def check(attempt: Attempt) -> None:
    """Make one picture, and look at it as the team will."""
    assignment = attempt.desk.assignment
    with step(attempt, "references"):
        if assignment.pairs_public:
            references = attempt.desk.load_references()
        else:
            references = _test_card(assignment.references.image_size)
    number_of_content, number_of_style = references.pairs[0]
    content = references.contents[number_of_content]
    style = references.styles[number_of_style]
    made = generate(attempt, references, range(CHECKED_PAIRS))
    manifest = made.proposal.manifest if made.proposal else assignment.checkpoint.manifest
    manifest = Manifest.model_validate(manifest)
    takes_style = "style" in manifest.roles()
    first = FirstLook(
        content=encode_png(content),
        style=encode_png(style) if takes_style else b"",
        picture=encode_png(made.outputs[0]),
        is_test_card=not assignment.pairs_public,
        hints=[hint.to_json() for hint in look(made.outputs[0], content, manifest)],
        measured=made.measure_memory(),
    )
    attempt.desk.report_check(attempt.notes, Checked(first, made.proposal))


def _test_card(side: int) -> ReferenceImages:
    """Stand in for pairs that nobody but organizers may see."""
    return ReferenceImages(
        contents=[make_content(side)],
        styles=[make_style(side)],
        pairs=[(0, 0)],
        reals=[],
        sha256="",
    )


def evaluate(attempt: Attempt) -> None:
    """Make and measure the pictures that are assigned; score them if they are all."""
    assignment = attempt.desk.assignment
    with step(attempt, "references"):
        references = attempt.desk.load_references()
    scorer = prepare(attempt, references)
    found, pictures = measure(attempt, references, scorer)
    if assignment.shard is not None:
        _reporter(attempt, "recording")(0, 0)
        attempt.desk.report_shard(attempt.notes, found.to_bytes(), pictures)
        return
    with step(attempt, "scoring"):
        card = scorer.put_together([found], checkpoint_sha256=assignment.checkpoint.sha256)
    _reporter(attempt, "recording")(0, 0)
    attempt.desk.report_scores(attempt.notes, card, pictures)


def put_together(attempt: Attempt) -> None:
    """Score what several workers have measured."""
    sha256 = attempt.desk.assignment.checkpoint.sha256
    with step(attempt, "references"):
        references = attempt.desk.load_references()
    scorer = prepare(attempt, references)
    with step(attempt, "scoring"):
        found = [ShardResult.from_bytes(data) for data in attempt.desk.load_results()]
        card = scorer.put_together(found, checkpoint_sha256=sha256)
    _reporter(attempt, "recording")(0, 0)
    attempt.desk.report_scores(attempt.notes, card, ())


def prepare(attempt: Attempt, references: ReferenceImages) -> Scorer:
    """Load the networks of the phase, and what is known of its references."""
    with step(attempt, "preparing"):
        scorer = open_scorer(attempt.desk, attempt.place, references)
        scorer.prepare(_reporter(attempt, "preparing"))
    return scorer


def measure(
    attempt: Attempt, references: ReferenceImages, scorer: Scorer
) -> tuple[ShardResult, Sequence[Picture]]:
    """Make the pictures that are assigned, measure them, and look for oddities."""
    assignment = attempt.desk.assignment
    pairs = range(assignment.first, assignment.first + assignment.count)
    meter = scorer.begin(pairs)
    pictures: list[Picture] = []

    def take(output: Image) -> None:
        meter.take(output)
        pictures.append(Picture(encode_png(output), encode_thumbnail(output)))
        if "generating" in attempt.notes.steps:  # before, the generator's own progress is shown
            _reporter(attempt, "scoring")(len(pictures), len(pairs))

    def make(put: Callable[[Image], None], gave_up: Callable[[], bool]) -> Stylised:
        return generate(attempt, references, pairs, on_picture=put, gave_up=gave_up)

    made = take_while_made(make, take, at_once=has_cores_for_both(attempt.place.threads))
    found = replace(meter.finish(), making=made.making)
    guards = guard(attempt, references, scorer, pairs, pictures)
    return replace(found, guards=guards), pictures


def guard(
    attempt: Attempt,
    references: ReferenceImages,
    scorer: Scorer,
    pairs: range,
    pictures: Sequence[Picture],
) -> dict[str, dict[str, Any]]:
    """Look for what scores don't show, in those of the phase's samples that were made here."""
    found: dict[str, dict[str, Any]] = {}

    def scored(number: int) -> Image:
        return decode_png(pictures[number - pairs.start].png)

    with step(attempt, "sensitivity"):
        disturbed = scorer.disturb(scored, pairs, _reporter(attempt, "sensitivity"))
    if disturbed is not None:
        found["sensitivity"] = disturbed.to_json()
    seed = scorer.seed(attempt.desk.assignment.checkpoint.sha256)
    order = order_within(choose_order(len(references.pairs), seed), pairs)
    if order:
        again = partial(generate, attempt, references, name="order")
        found["second_pass"] = make_second_pass(attempt, order, scored, again).to_json()
    return found


def generate(
    attempt: Attempt,
    references: ReferenceImages,
    numbers: Sequence[int],
    *,
    name: str = "generating",
    on_picture: Callable[[Image], None] | None = None,
    gave_up: Callable[[], bool] = lambda: False,
) -> Stylised:
    """Run the generator in a fresh sandbox over some pairs, by their numbers."""
    assignment, place = attempt.desk.assignment, attempt.place
    chosen = [references.pairs[number] for number in numbers]
    manifest = assignment.checkpoint.manifest_for_sandbox()
    takes_style = manifest is None or any(x["role"] == "style" for x in manifest["inputs"])
    limit_s = float(assignment.time_limit_s)
    if assignment.stage == "check":
        limit_s = min(limit_s, CHECK_TIME_LIMIT_S)
    with (
        _checkpoint_for_sandbox(attempt, gave_up) as checkpoint,
        step(attempt, name),
    ):
        made = place.sandboxes().run(
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
                memory_bytes=assignment.memory_bytes,
                cpu_threads=place.threads,
            ),
            on_progress=_reporter(attempt, name),
            on_picture=on_picture,
            should_stop=lambda: attempt.lease.should_stop or gave_up(),
        )
    if name == "generating":
        attempt.notes.steps |= {"load": round(made.load_s, 3), "run": round(made.run_s, 3)}
        attempt.notes.log = made.log
    return made


@contextmanager
def _checkpoint_for_sandbox(attempt: Attempt, gave_up: Callable[[], bool]) -> Iterator[Path]:
    with attempt.desk.open_checkpoint() as uploaded, ExitStack() as kept:
        path = uploaded
        if attempt.desk.assignment.checkpoint.is_state_dict:
            with step(attempt, "converting"):
                copy = converted_copy(
                    uploaded,
                    attempt.notes,
                    attempt.place,
                    wall_s=CHECK_TIME_LIMIT_S,
                    should_stop=lambda: attempt.lease.should_stop or gave_up(),
                )
                path = kept.enter_context(copy)
        yield path


def open_scorer(desk: Desk, place: Workplace, references: ReferenceImages) -> Scorer:
    """Return the scorer of an assignment; those used last are kept."""
    assignment = desk.assignment
    # By value: what a draft phase changes of its recipe, set or networks makes another scorer.
    key = (assignment.recipe, references.sha256, tuple(assignment.extractors.items()), place.device)
    if key in _scorers:
        _scorers.move_to_end(key)
        return _scorers[key]
    while len(_scorers) >= _SCORERS_KEPT:
        _scorers.popitem(last=False)
    _scorers[key] = Scorer(
        assignment.recipe,
        references,
        dict(assignment.extractors),
        desk.load_discriminator(),  # refused if it is not the one that the recipe names
        cache_dir=place.feature_cache,
        weights_dir=place.weights,
        device=place.device,
    )
    return _scorers[key]


def open_pinned(vgg: ExtractorPin, recipe: Recipe, place: Workplace) -> None:
    """Make sure that the network is there before anything is measured with it.

    Raises:
        WeightsUnavailable, WeightsMismatch: it is not.
    """
    open_vgg(vgg, recipe, place.weights)


def calibrate(
    recipe: Recipe,
    references: ReferenceImages,
    vgg: ExtractorPin,
    discriminator: bytes | None,
    on_progress: Callable[[int, int], None],
    place: Workplace,
) -> Recipe:
    """Return the recipe with weights by which the terms of its total count alike on a set."""
    make_deterministic(place.threads)
    return calibration.calibrate(
        recipe,
        references,
        vgg,
        discriminator,
        cache_dir=place.feature_cache,
        weights_dir=place.weights,
        on_progress=on_progress,
    )


def _reporter(attempt: Attempt, name: str) -> Callable[[int, int], None]:
    """Return what passes progress on, and stops work that is no longer ours."""

    def report(done: int, of: int) -> None:
        attempt.lease.report(name, done, of)
        if attempt.lease.should_stop:
            raise SandboxStopped

    return report


@contextmanager
def step(attempt: Attempt, name: str) -> Iterator[None]:
    """Time a step, show it to those who watch; do not begin it if there is no reason to go on."""
    if attempt.lease.should_stop:
        raise SandboxStopped
    attempt.lease.report(name)
    started = time.monotonic()
    try:
        yield
    finally:
        attempt.notes.steps[name] = round(time.monotonic() - started, 3)
