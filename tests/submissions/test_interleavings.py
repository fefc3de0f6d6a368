"""Whatever happens in whatever order, a submission goes by the table, and scores count once."""

import os
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db import IntegrityError, connection, transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils.timezone import now
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    rule,
    run_state_machine_as_test,
)

from competitions.errors import DomainError
from evaluation import organizing, services, sweeper
from evaluation.models import EvaluationRun, Stage
from evaluation.row_lease import next_expiry
from styletransfer.manifest import Manifest
from submissions import describing
from submissions.models import Submission
from submissions.services import cancel
from submissions.states import TRANSITIONS, Status, lawful_moves
from tests.evaluation.test_services import record
from tests.factories import MANIFEST, make_phase, make_submission, make_team, make_user, silence
from tests.invariants import ALWAYS
from tests.organizing.scene import make_organizer

EXAMPLES, STEPS = (400, 60) if os.environ.get("ARENA_FAULTS_FULL") else (12, 30)
# For these nobody but an organizer, with a reason that is kept, opens what has ended; a rejected
# file may be checked again by another manifest of its team.
FINAL = {Status.SCORED, Status.FAILED, Status.REJECTED, Status.CANCELLED, Status.WITHDRAWN}


class Life(RuleBasedStateMachine):
    """One submission, workers of which some are stale, sweepers, a team and an organizer."""

    runs = Bundle("runs")

    def __init__(self) -> None:
        super().__init__()
        self.transaction = transaction.atomic()
        self.transaction.__enter__()
        phase = make_phase(quota_per_day=50, quota_concurrent=50)
        self.user = make_user()
        self.organizer = make_organizer(phase.competition)
        team = make_team(self.user, phase=phase)
        self.pk = make_submission(phase=phase, team=team, is_held=True).pk
        self.seen = (Status.CHECKING, 0)
        self.opened_by_right = False
        self.acts = 0

    def teardown(self) -> None:
        transaction.set_rollback(True)
        self.transaction.__exit__(None, None, None)

    @property
    def row(self) -> Submission:
        return Submission.objects.select_related("phase__competition", "team").get(pk=self.pk)

    # --- Workers ------------------------------------------------------------------------------
    @rule(target=runs, stage=st.sampled_from(Stage))
    def claim(self, stage: Stage) -> EvaluationRun | None:
        return services.begin(self.row, stage, worker="w")

    @rule(run=runs)
    def renew(self, run: EvaluationRun | None) -> None:
        if run is not None:
            held = Submission.objects.held().filter(pk=self.pk, attempt=run.attempt).exists()
            assert run.submission.renew(lease_expires_at=next_expiry()) == held

    @rule(run=runs)
    def pass_check(self, run: EvaluationRun | None) -> None:
        if run is not None and run.stage == Stage.CHECK:
            self._report(run, services.record_check_passed(run))

    @rule(run=runs)
    def score(self, run: EvaluationRun | None) -> None:
        if run is not None and run.stage == Stage.SCORE:
            self._report(run, record(run))

    @rule(run=runs)
    def refuse(self, run: EvaluationRun | None) -> None:
        if run is not None:
            self._report(run, services.record_refusal(run, code="too_slow", facts={}))

    @rule(run=runs)
    def fail(self, run: EvaluationRun | None) -> None:
        if run is not None:
            self._report(run, services.record_fault(run, reason="no disk"))

    @rule(run=consumes(runs))
    def hand_back(self, run: EvaluationRun | None) -> None:
        if run is not None:
            services.hand_back(run)

    def _report(self, run: EvaluationRun, was_taken: bool) -> None:
        _status, attempt = self.seen
        if was_taken:
            assert run.attempt == attempt, "an attempt that had lost the row could write"

    # --- Time and the sweeper -------------------------------------------------------------------
    @rule()
    def lose_lease(self) -> None:
        if self.row.lease_expires_at is not None:
            silence(self.row)

    @rule()
    def let_pauses_end(self) -> None:
        Submission.objects.filter(pk=self.pk, not_before__isnull=False).update(
            not_before=Now() - timedelta(seconds=1)
        )

    @rule()
    def sweep(self) -> None:
        sweeper.take_from_the_lost()
        sweeper.retry_faults()
        sweeper.close_abandoned_runs()

    # --- People ---------------------------------------------------------------------------------
    @rule()
    def cancel(self) -> None:
        self._try(cancel, self.row, by=self.user)

    @rule()
    def release(self) -> None:
        self._try(describing.release, self.row, by=self.user)

    @rule(multiple=st.sampled_from([1, 2, 4]))
    def change_manifest(self, multiple: int) -> None:
        manifest = Manifest.model_validate({**MANIFEST, "size": {"multiple_of": multiple}})
        changed = self._try(describing.change_manifest, self.row, manifest, by=self.user)
        self.opened_by_right = changed and self.seen[0] == Status.REJECTED

    @rule()
    def restart(self) -> None:
        done = self._try(organizing.restart, self.row, by=self.organizer, reason="a fault of ours")
        self.acts += done
        self.opened_by_right = done

    @staticmethod
    def _try(act: Any, *args: Any, **kwargs: Any) -> bool:
        try:
            with transaction.atomic():
                act(*args, **kwargs)
        except DomainError:
            return False
        return True

    # --- What holds after each ------------------------------------------------------------------
    @invariant()
    def it_went_by_the_table(self) -> None:
        row = self.row
        before, attempt = self.seen
        after = Status(row.status)
        if after != before:
            assert (before, after) in lawful_moves()
            if before in FINAL:
                assert self.opened_by_right, f"{before} was left for {after} by nobody's right"
        assert row.attempt >= attempt
        assert LogEntry.objects.filter(object_id=str(self.pk)).count() == self.acts
        self.seen, self.opened_by_right = (after, row.attempt), False

    @invariant()
    def nothing_is_amiss(self) -> None:
        with connection.cursor() as cursor:
            for name, sql in ALWAYS.items():
                if name == "times are in order":
                    continue  # rows of tests come from the clock of Python, which has more digits
                cursor.execute(sql)
                assert cursor.fetchall() == [], name


@pytest.mark.django_db
def test_any_interleaving_goes_by_the_table() -> None:
    run_state_machine_as_test(
        Life,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            derandomize=not os.environ.get("ARENA_FAULTS_FULL"),
        ),
    )


# --- The database's own word ----------------------------------------------------------------------
def facts_of(status: Status) -> dict[str, Any]:
    explained = {Status.REJECTED, Status.FAILED, Status.PLATFORM_FAULT}
    return {
        "status": status,
        "failure_code": "too_slow" if status in explained else "",
        "lease_expires_at": now() if status == Status.RUNNING else None,
    }


@pytest.mark.django_db
@pytest.mark.parametrize("source", Status)
def test_the_database_itself_refuses_every_other_way(source: Status) -> None:
    for target in Status:
        row = make_submission(**{"lease_expires_at": None} | facts_of(source))
        rows = Submission.objects.filter(pk=row.pk)
        if source == target or (source, target) in lawful_moves():
            assert rows.update(**facts_of(target)) == 1
            continue
        with pytest.raises(IntegrityError), transaction.atomic():
            rows.update(**facts_of(target))
        rows.update(attempt=F("attempt") + 1)  # anything else may change


def test_what_was_cancelled_or_withdrawn_is_left_by_nobody() -> None:
    sources = {source for source, _ in lawful_moves()}
    assert sources == {*TRANSITIONS, Status.REJECTED, Status.FAILED}
