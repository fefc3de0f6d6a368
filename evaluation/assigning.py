"""What a worker is told of an attempt."""

from datetime import timedelta

from evaluation.assignment import Assignment, Checkpoint, References
from evaluation.models import EvaluationRun, Stage

# Everything but the generator itself: reading, features of the references, scores.
PREPARATION = timedelta(minutes=30)
SCORING_PER_PAIR = timedelta(seconds=30)


def deadline_of(run: EvaluationRun, pairs: int) -> timedelta:
    """Return how long an attempt may take, everything included."""
    # Twice: the second pass over some of the pairs has the same limit.
    allowed = 2 * timedelta(seconds=run.submission.phase.time_limit_s)
    return PREPARATION + allowed + SCORING_PER_PAIR * pairs


def describe(run: EvaluationRun) -> Assignment:
    """Say what there is to do in an attempt."""
    submission = run.submission
    phase = submission.phase
    pairs = phase.reference_set.pairs.count()
    return Assignment(
        run=run.pk,
        submission=submission.pk,
        attempt=run.attempt,
        stage="check" if run.stage == Stage.CHECK else "score",
        checkpoint=Checkpoint(
            sha256=submission.sha256,
            size_bytes=submission.size_bytes,
            manifest=submission.manifest,
            converted_sha256=submission.converted_sha256,
        ),
        references=References(
            id=phase.reference_set_id,
            sha256=phase.reference_set.sha256,
            image_size=phase.reference_set.image_size,
        ),
        pairs_public=phase.pairs_public,
        recipe=phase.recipe.as_value(),
        extractors=phase.extractors,
        time_limit_s=phase.time_limit_s,
        memory_bytes=phase.memory_limit_bytes,
        deadline_s=deadline_of(run, pairs).total_seconds(),
        first=0,
        count=pairs,
    )
