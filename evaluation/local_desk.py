"""The desk of workers inside: they have the database and the files at hand."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from django.db import close_old_connections

from competitions.models import Pair
from evaluation import services, shards
from evaluation.assignment import (
    Assignment,
    Checked,
    Checkpoint,
    Notes,
    Picture,
    References,
)
from evaluation.lease import next_expiry
from evaluation.models import EvaluationRun, Shard, Stage
from evaluation.references import load_first_pair, load_references
from evaluation.stored_checkpoint import local_copy
from styletransfer.score_card import ScoreCard
from styletransfer.values import ReferenceImages
from submissions.models import Submission

# Everything but the generator itself: reading, features of the references, scores.
PREPARATION = timedelta(minutes=30)
SCORING_PER_PAIR = timedelta(seconds=30)


def claim(submission_id: UUID, stage: Stage, *, worker: str) -> "LocalDesk | None":
    """Begin an attempt at a submission, or at a part of its run; None if nothing waits.

    Raises:
        Submission.DoesNotExist: there is no such submission.
    """
    submission = Submission.objects.select_related(
        "phase__recipe", "phase__reference_set", "team"
    ).get(pk=submission_id)
    if stage == Stage.CHECK:
        run = services.begin(submission, stage, worker=worker)
        return None if run is None else LocalDesk(run)
    found = shards.claim(submission, worker=worker)
    if found is None:
        return None
    return ShardDesk(found) if isinstance(found, Shard) else LocalDesk(found)


class LocalDesk:
    """Serves one attempt from the database."""

    def __init__(self, run: EvaluationRun) -> None:
        self._run = run
        self.assignment = describe(run)

    def renew(self, progress: Mapping[str, Any]) -> bool:
        return self._run.submission.renew(lease_expires_at=next_expiry(), **progress)

    def open_checkpoint(self) -> AbstractContextManager[Path]:
        return local_copy(self._run.submission)

    def load_references(self) -> ReferenceImages:
        wanted = self.assignment.references
        if self.assignment.stage == "check":
            return load_first_pair(wanted.id)
        return load_references(wanted.id, wanted.sha256)

    def load_discriminator(self) -> bytes | None:
        _wake_database()
        stored = self._run.submission.phase.recipe.discriminator
        if not stored:
            return None
        with stored.open("rb") as file:
            found: bytes = file.read()
        return found

    def report_check(self, notes: Notes, found: Checked) -> bool:
        run = self._write_down(notes)
        return services.record_check_passed(run, first=found.first, proposal=found.proposal)

    def report_scores(self, notes: Notes, card: ScoreCard, pictures: Sequence[Picture]) -> bool:
        run = self._write_down(notes)
        pairs = Pair.objects.filter(reference_set=self.assignment.references.id)
        ordered = list(pairs.order_by("position"))
        return services.record_scores(run, card, pairs=ordered, pictures=pictures)

    def report_shard(self, notes: Notes, result: bytes, pictures: Sequence[Picture]) -> bool:
        raise NotImplementedError("this run is not divided")

    def load_results(self) -> Sequence[bytes]:
        raise NotImplementedError("this run is not divided")

    def report_refusal(self, notes: Notes, *, code: str, facts: Mapping[str, Any]) -> bool:
        return services.record_refusal(self._write_down(notes), code=code, facts=facts)

    def report_fault(self, notes: Notes, *, reason: str) -> bool:
        return services.record_fault(self._write_down(notes), reason=reason)

    def report_stopped(self, notes: Notes) -> None:
        services.record_stopped(self._write_down(notes))

    def hand_back(self, notes: Notes) -> None:
        services.hand_back(self._write_down(notes))

    def _write_down(self, notes: Notes) -> EvaluationRun:
        _wake_database()
        run = self._run
        run.steps, run.versions, run.log = notes.steps, notes.versions, notes.log
        run.submission.converted_sha256 = notes.converted_sha256
        return run


class ShardDesk(LocalDesk):
    """Serves one attempt at a part of a run."""

    def __init__(self, shard: Shard) -> None:
        super().__init__(shard.run)
        self._shard = shard
        self.assignment = describe_shard(shard)

    def renew(self, progress: Mapping[str, Any]) -> bool:
        return shards.renew(self._shard, progress)

    def report_shard(self, notes: Notes, result: bytes, pictures: Sequence[Picture]) -> bool:
        self._write_down(notes)
        return shards.record_result(self._shard, notes, result, pictures)

    def load_results(self) -> Sequence[bytes]:
        _wake_database()
        return shards.open_results(self._run.pk)

    def report_scores(self, notes: Notes, card: ScoreCard, pictures: Sequence[Picture]) -> bool:
        self._write_down(notes)
        return shards.record_scores(self._shard, notes, card)

    def report_refusal(self, notes: Notes, *, code: str, facts: Mapping[str, Any]) -> bool:
        self._write_down(notes)
        return shards.record_refusal(self._shard, notes, code=code, facts=facts)

    def report_fault(self, notes: Notes, *, reason: str) -> bool:
        self._write_down(notes)
        return shards.record_fault(self._shard, notes, reason=reason)

    def report_stopped(self, notes: Notes) -> None:
        self._write_down(notes)
        shards.record_stopped(self._shard)

    def hand_back(self, notes: Notes) -> None:
        self._write_down(notes)
        shards.hand_back(self._shard)


def _wake_database() -> None:
    # Work takes long enough for a database to be restarted: what was found shall not be lost.
    close_old_connections()


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


def describe_shard(shard: Shard) -> Assignment:
    """Say what there is to do in an attempt at a part of a run."""
    whole = describe(shard.run)
    pairs = shard.count or whole.count
    limit = shards.time_left_s(shard)
    deadline = PREPARATION + 2 * timedelta(seconds=limit) + SCORING_PER_PAIR * pairs
    return replace(
        whole,
        shard=shard.pk,
        first=shard.first,
        count=shard.count,
        time_limit_s=limit,
        deadline_s=deadline.total_seconds(),
    )
