"""The figures that Prometheus reads are those of the rows."""

from datetime import timedelta

import pytest
from django.db.models.functions import Now
from django.utils.timezone import now
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from arena.operations import metrics
from evaluation import services
from evaluation.models import EvaluationRun, Outcome, Stage, Worker
from submissions.models import Submission
from submissions.states import Status
from tests.factories import make_submission

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _counted_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget the runs of earlier tests, as a process that starts has none."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(metrics._Figures())
    monkeypatch.setattr(metrics, "_REGISTRY", registry)


def read() -> dict[tuple[str, tuple[str, ...]], float]:
    """Return every sample by name and values of labels, in the order of the labels' names."""
    text = metrics.render().decode()
    return {
        (sample.name, tuple(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def add_run(status: str = Outcome.PASSED, **steps: float) -> EvaluationRun:
    ended = None if status == Outcome.RUNNING else now()
    return EvaluationRun.objects.create(
        submission=make_submission(),
        attempt=1,
        stage=Stage.CHECK,
        outcome=status,
        worker="w",
        finished_at=ended,
        steps=steps,
    )


def test_queues_have_depth_and_age() -> None:
    waiting = make_submission(status=Status.QUEUED, queued_at=now() - timedelta(seconds=90))
    make_submission(status=Status.QUEUED, queued_at=now())
    held = make_submission(status=Status.QUEUED, queued_at=now())
    assert services.begin(held, Stage.SCORE, worker="w")
    found = read()
    assert found["arena_queue_depth", ("evaluation",)] == 2
    assert 90 <= found["arena_queue_age_seconds", ("evaluation",)] < 200
    assert found["arena_queue_busy", ("evaluation",)] == 1
    assert found["arena_queue_depth", ("checks",)] == 0
    assert found["arena_queue_age_seconds", ("checks",)] == 0
    assert found["arena_upload_bytes_total", ()] == sum(
        Submission.objects.values_list("size_bytes", flat=True)
    )
    assert waiting.size_bytes > 0


def test_workers_count_by_queue() -> None:
    for name, queues in (("a", ["checks"]), ("b", ["checks", "evaluation"])):
        Worker.objects.create(
            name=name,
            version="1",
            device="cpu",
            threads=1,
            queues=queues,
            started_at=Now(),
            seen_at=Now(),
        )
    found = read()
    assert found["arena_workers_online", ("checks",)] == 2
    assert found["arena_workers_online", ("evaluation",)] == 1


def test_faults_losses_and_failures_are_counted() -> None:
    add_run(Outcome.LOST)
    add_run(Outcome.LOST)
    add_run(Outcome.FAULT)
    make_submission(status=Status.FAILED, failure_code="too_slow")
    found = read()
    assert found["arena_lease_losses_total", ()] == 2
    assert found["arena_platform_faults_total", ()] == 1
    assert found["arena_failures", ("too_slow",)] == 1
    assert found["arena_runs", ("lost", "check")] == 2


def test_steps_become_histograms_and_no_run_counts_twice() -> None:
    add_run(generating=0.3, scoring=7.0)
    open_run = add_run(Outcome.RUNNING)
    add_run(generating=20_000.0)
    for _ in range(2):  # asked again, from what was counted already
        found = read()
        assert found["arena_run_step_seconds_count", ("generating",)] == 2
        assert found["arena_run_step_seconds_sum", ("generating",)] == 20_000.3
        assert found["arena_run_step_seconds_bucket", ("0.1", "generating")] == 0
        assert found["arena_run_step_seconds_bucket", ("0.5", "generating")] == 1
        assert found["arena_run_step_seconds_bucket", ("7200.0", "generating")] == 1
        assert found["arena_run_step_seconds_bucket", ("+Inf", "generating")] == 2
        assert found["arena_run_step_seconds_bucket", ("10.0", "scoring")] == 1
    # One that ended late is below others that were counted, and is counted all the same.
    EvaluationRun.objects.filter(pk=open_run.pk).update(
        outcome=Outcome.PASSED, finished_at=now(), steps={"generating": 1.0}
    )
    assert read()["arena_run_step_seconds_count", ("generating",)] == 3
