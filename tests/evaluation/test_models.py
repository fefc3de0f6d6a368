"""What the database itself keeps out of the records of runs."""

from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.utils.timezone import now

from evaluation.models import EvaluationRun, Outcome, Stage
from submissions.models import Submission
from tests.factories import make_scored_submission, make_submission

pytestmark = pytest.mark.django_db

PASSED = {"stage": Stage.SCORE, "outcome": Outcome.PASSED, "finished_at": now()}


def add_run(submission: Submission, **fields: Any) -> EvaluationRun:
    with transaction.atomic():
        return EvaluationRun.objects.create(submission=submission, **{"attempt": 1, **fields})


@pytest.mark.parametrize(
    "fields",
    [
        {"stage": "guess"},
        {"stage": Stage.CHECK, "outcome": "luck", "finished_at": now()},
        {"stage": Stage.CHECK, "outcome": Outcome.PASSED},
        {"stage": Stage.CHECK, "finished_at": now()},
    ],
)
def test_a_run_has_a_known_stage_and_outcome_and_an_end_once_it_ended(
    fields: dict[str, Any],
) -> None:
    submission = make_submission()
    with pytest.raises(IntegrityError):
        add_run(submission, **fields)
    add_run(submission, stage=Stage.CHECK)


def test_the_scores_of_one_run_count_however_many_are_made() -> None:
    submission = make_scored_submission()
    counting = submission.runs.that_count().get()
    with pytest.raises(IntegrityError):
        add_run(submission, attempt=counting.attempt + 1, **PASSED)
    add_run(submission, attempt=counting.attempt + 1, **{**PASSED, "outcome": Outcome.LOST})
    assert submission.runs.that_count().get() == counting
