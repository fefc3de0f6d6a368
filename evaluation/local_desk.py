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
from evaluation.assigning import PREPARATION, SCORING_PER_PAIR, describe
from evaluation.assignment import (
    Assignment,
    Checked,
    Notes,
    Picture,
)
from evaluation.models import EvaluationRun, Shard, Stage
from evaluation.references import load_first_pair, load_references
from evaluation.row_lease import RowHold
from evaluation.stored_checkpoint import local_copy
from styletransfer.score_card import ScoreCard
from styletransfer.values import ReferenceImages
from submissions.models import Submission


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


class LocalDesk(RowHold):
    """Serves one attempt from the database."""

    def __init__(self, run: EvaluationRun) -> None:
        super().__init__(run.submission)
        self._run = run
        self.assignment = describe(run)

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
        return services.write_down(self._run, notes)


class ShardDesk(LocalDesk):
    """Serves one attempt at a part of a run."""

    def __init__(self, shard: Shard) -> None:
        super().__init__(shard.run)
        self._shard = shard
        self.assignment = describe_shard(shard)

    def _keep(self, progress: Mapping[str, Any]) -> bool:
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
