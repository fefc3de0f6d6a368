"""Figures for Prometheus, counted from the database when it asks.

Rows are the truth here, and several web processes answer in turn: none of them has counters of
its own that would have to be added up.
"""

import threading
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import accumulate

from django.db.models import Count, Min, Sum
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4 as CONTENT_TYPE
from prometheus_client.registry import Collector

from competitions.models import OutgoingMail
from evaluation.models import EvaluationRun, Outcome, Worker
from evaluation.presence import platform_version
from evaluation.queues import find_queues
from submissions.models import Submission

__all__ = ["CONTENT_TYPE", "render"]

# From a check of a small file to hours on a large phase.
BUCKETS_S = (0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200)


def render() -> bytes:
    return generate_latest(_REGISTRY)


class _Durations:
    """How long steps took, as a histogram each.

    Counted once for runs that are over: those whose number lies below that of every open run.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._settled_up_to = 0
        self._settled: dict[str, list[float]] = defaultdict(_empty)

    def histograms(self) -> dict[str, list[float]]:
        """Return for each step a count per bucket, one more for the longest, and the sum."""
        with self._lock:
            open_runs = EvaluationRun.objects.filter(outcome=Outcome.RUNNING)
            first_open = open_runs.aggregate(first=Min("pk"))["first"]
            rows = EvaluationRun.objects.filter(pk__gt=self._settled_up_to).order_by("pk")
            unsettled: dict[str, list[float]] = defaultdict(_empty)
            for pk, steps in rows.values_list("pk", "steps").iterator():
                is_settled = first_open is None or pk < first_open
                _count(steps, self._settled if is_settled else unsettled)
                if is_settled:
                    self._settled_up_to = pk
            return {
                step: [
                    a + b
                    for a, b in zip(
                        self._settled.get(step) or _empty(),
                        unsettled.get(step) or _empty(),
                        strict=True,
                    )
                ]
                for step in {*self._settled, *unsettled}
            }


def _empty() -> list[float]:
    return [0.0] * (len(BUCKETS_S) + 2)


def _count(steps: dict[str, float], into: dict[str, list[float]]) -> None:
    for step, seconds in steps.items():
        into[step][bisect_left(BUCKETS_S, seconds)] += 1
        into[step][-1] += seconds


class _Figures(Collector):
    def __init__(self) -> None:
        self._durations = _Durations()

    def describe(self) -> Iterable[Metric]:
        return ()  # else the registry asks for all of it when it is made

    def collect(self) -> Iterator[Metric]:
        yield InfoMetricFamily("arena", "The platform.", value={"version": platform_version()})
        yield from _queues()
        yield from self._steps()
        yield from _outcomes()
        yield from _submissions()
        mails = GaugeMetricFamily("arena_mails_waiting", "Mails that wait to be sent.")
        waiting = OutgoingMail.objects.filter(sent_at__isnull=True, given_up_at__isnull=True)
        mails.add_metric([], waiting.count())
        yield mails

    def _steps(self) -> Iterator[Metric]:
        family = HistogramMetricFamily(
            "arena_run_step_seconds", "How long a step of a run took.", labels=["step"]
        )
        for step, counted in sorted(self._durations.histograms().items()):
            sums = list(accumulate(counted[:-1]))
            edges = [*(str(float(edge)) for edge in BUCKETS_S), "+Inf"]
            family.add_metric([step], list(zip(edges, sums, strict=True)), counted[-1])
        yield family


def _queues() -> Iterator[Metric]:
    depth = GaugeMetricFamily("arena_queue_depth", "Rows that wait.", labels=["queue"])
    age = GaugeMetricFamily(
        "arena_queue_age_seconds", "How long the first in line has waited.", labels=["queue"]
    )
    busy = GaugeMetricFamily("arena_queue_busy", "Rows that workers hold.", labels=["queue"])
    workers = GaugeMetricFamily(
        "arena_workers_online", "Workers seen lately, by queue.", labels=["queue"]
    )
    for queue in find_queues():
        depth.add_metric([queue.name], queue.waiting)
        age.add_metric([queue.name], queue.age.total_seconds())
        busy.add_metric([queue.name], queue.busy)
        workers.add_metric([queue.name], queue.workers)
    yield from (depth, age, busy, workers)
    known = GaugeMetricFamily("arena_workers_known", "Workers, silent ones included.")
    known.add_metric([], Worker.objects.count())
    yield known


def _outcomes() -> Iterator[Metric]:
    runs = GaugeMetricFamily("arena_runs", "Runs by outcome.", labels=["stage", "outcome"])
    totals = {Outcome.FAULT: 0, Outcome.LOST: 0}
    rows = EvaluationRun.objects.order_by().values_list("stage", "outcome")
    for stage, outcome, number in rows.annotate(n=Count("pk")):
        runs.add_metric([stage, outcome], number)
        if outcome in totals:
            totals[Outcome(outcome)] += number
    yield runs
    faults = CounterMetricFamily("arena_platform_faults", "Runs that the platform failed.")
    faults.add_metric([], totals[Outcome.FAULT])
    losses = CounterMetricFamily("arena_lease_losses", "Runs whose worker was lost.")
    losses.add_metric([], totals[Outcome.LOST])
    yield from (faults, losses)


def _submissions() -> Iterator[Metric]:
    states = GaugeMetricFamily("arena_submissions", "Submissions by state.", labels=["status"])
    rows = Submission.objects.order_by().values_list("status")
    for status, number in rows.annotate(n=Count("pk")):
        states.add_metric([status], number)
    failures = GaugeMetricFamily(
        "arena_failures", "Submissions that ended with a failure, by its code.", labels=["code"]
    )
    failed = Submission.objects.exclude(failure_code="").order_by().values_list("failure_code")
    for code, number in failed.annotate(n=Count("pk")):
        failures.add_metric([code], number)
    uploaded = CounterMetricFamily("arena_upload_bytes", "Bytes of checkpoints submitted.")
    uploaded.add_metric([], Submission.objects.aggregate(n=Sum("size_bytes"))["n"] or 0)
    yield from (states, failures, uploaded)


_REGISTRY = CollectorRegistry(auto_describe=False)
_REGISTRY.register(_Figures())
