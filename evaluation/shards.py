"""Divide a large run among workers, and put together what they bring."""

import logging
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.files.base import ContentFile
from django.db import transaction
from django.db.models import Case, F, Q, Sum, When
from django.db.models.functions import Now

from competitions.models import Pair
from evaluation import services
from evaluation.assignment import Notes, Picture
from evaluation.models import EvaluationRun, Outcome, Output, Stage
from evaluation.pictures import discard_pictures, store_pictures
from evaluation.row_lease import next_expiry
from evaluation.shard_model import Shard, ShardState
from styletransfer.score_card import ScoreCard
from submissions import dispatch
from submissions.models import Submission
from submissions.states import Status

log = logging.getLogger(__name__)

# Batches of a GPU have a power of two of pictures, up to this many, and the last bits of a value
# may depend on its neighbours: shards begin where a batch would.
GRAIN = 64
# A divided run whose workers all went away waits for others. Whatever happens, not for ever.
LONGEST_WAIT = timedelta(days=2)
# Pictures are all there when these steps come.
_AFTER_GENERATING = frozenset({"scoring", "sensitivity", "order", "recording"})


def plan(pairs: int, size: int) -> list[range]:
    """Divide pairs into shards of at most ``size`` that differ little; one if they are few."""
    parts = math.ceil(pairs / size)
    step = math.ceil(pairs / parts)
    if size >= GRAIN:
        step = min(math.ceil(step / GRAIN) * GRAIN, size - size % GRAIN)
    return [range(first, min(first + step, pairs)) for first in range(0, pairs, step)]


def divide(run: EvaluationRun) -> bool:
    """Divide a run that has just begun, if its phase is large; return whether it was.

    Its submission then is no single worker's: it stays with the run while that makes progress.
    """
    pairs = run.submission.phase.reference_set.pairs.count()
    parts = plan(pairs, settings.EVALUATION_SHARD_PAIRS)
    if len(parts) < 2:
        return False
    rows = [Shard(run=run, first=part.start, count=len(part)) for part in parts]
    Shard.objects.bulk_create([*rows, Shard(run=run, first=pairs, count=0)])
    kept = run.submission.renew(
        lease_expires_at=Now() + LONGEST_WAIT, step="generating", progress_of=pairs
    )
    pk = run.submission_id
    for _part in parts[1:]:  # the first one is this worker's own
        transaction.on_commit(lambda: dispatch.send(pk, Status.QUEUED), robust=True)
    Shard.objects.filter(run=run).update(dispatched_at=Now())
    return kept


def claim(submission: Submission, *, worker: str) -> EvaluationRun | Shard | None:
    """Begin a run of a submission that waits, or a shard of its run if that is divided.

    None if there is nothing to do.
    """
    with transaction.atomic():
        run = services.begin(submission, Stage.SCORE, worker=worker)
        if run is not None and not divide(run):
            return run
    return claim_next(submission.pk, worker=worker)


def claim_next(submission_id: UUID, *, worker: str) -> Shard | None:
    """Claim a shard of a submission's run, in order; None if nothing waits."""
    waiting = Shard.objects.ready().filter(run__submission=submission_id).order_by("first")
    for shard in waiting.select_related(
        "run__submission__phase__recipe",
        "run__submission__phase__reference_set",
        "run__submission__team",
    ):
        if shard.claim(worker=worker, lease_expires_at=next_expiry()):
            _tell_progress(shard)
            return shard
    return None


def time_left_s(shard: Shard) -> float:
    """Return what is left of the phase's time for all pairs, after the shards that are done."""
    limit = float(shard.run.submission.phase.time_limit_s)
    return max(limit - Shard.objects.filter(run=shard.run_id).spent_s(), 1.0)


def renew(shard: Shard, progress: Mapping[str, Any]) -> bool:
    """Keep a shard, and tell how far its run is as a whole."""
    step = str(progress.get("step", ""))
    made = 0
    if step == "generating":
        made = min(int(progress["progress_done"]), shard.count)
    elif step in _AFTER_GENERATING:
        made = shard.count
    if not shard.renew(lease_expires_at=next_expiry(), step=step, made=made):
        return False
    _tell_progress(shard, step if shard.puts_together else "generating")
    return True


def _tell_progress(shard: Shard, step: str = "generating") -> None:
    """Add up what all have made, and keep the submission with its run."""
    made = Case(When(state=ShardState.DONE, then=F("count")), default=F("made"))
    total = Shard.objects.filter(run=shard.run_id).aggregate(done=Sum(made))["done"]
    shard.run.submission.renew(
        lease_expires_at=Now() + LONGEST_WAIT, step=step, progress_done=total or 0
    )


def record_result(shard: Shard, notes: Notes, data: bytes, pictures: Sequence[Picture]) -> bool:
    """Store what was measured of a shard, and its pictures; False if it is another's by now.

    Raises:
        InvalidShard: the data are no such result.
    """
    from styletransfer.shard import ShardResult  # reads with what only workers have

    found = ShardResult.from_bytes(data, shard.pairs)
    seconds = sum(found.making.picture_s) if found.making else 0.0
    run = shard.run
    positions = list(
        Pair.objects.filter(reference_set=run.submission.phase.reference_set).order_by("position")[
            shard.first : shard.first + shard.count
        ]
    )
    outputs = store_pictures(run, positions, pictures, attempt=shard.attempt)
    result = Shard.result.field
    name = ""
    try:
        name = result.storage.save(
            result.generate_filename(shard, f"{run.pk}-{shard.first}-{shard.attempt}.safetensors"),
            ContentFile(data),
        )
        with transaction.atomic():
            is_ours = shard.finish(
                made=shard.count, generating_s=seconds, result=name, **_told(notes)
            )
            if is_ours:
                Output.objects.bulk_create(outputs)
                _tell_progress(shard)
                _require_time(shard)
    except BaseException:
        if not Shard.objects.filter(pk=shard.pk, result=name).exclude(result="").exists():
            _discard(name, outputs)
        raise
    if not is_ours:
        _discard(name, outputs)
    return is_ours


def _told(notes: Notes) -> dict[str, Any]:
    return {
        "steps": notes.steps,
        "versions": notes.versions,
        "log": notes.log[-services.LOG_CHARACTERS :],
    }


def _discard(name: str, outputs: Sequence[Output]) -> None:
    discard_pictures(outputs)
    if name:
        try:
            Shard.result.field.storage.delete(name)
        except OSError:
            log.warning("could not remove %s, which no row refers to", name, exc_info=True)


def _require_time(shard: Shard) -> None:
    """End the submission if all shards together have taken longer than the phase allows."""
    run = shard.run
    if Shard.objects.filter(run=run).spent_s() > run.submission.phase.time_limit_s:
        _refuse(shard, "too_slow", {})


def record_refusal(shard: Shard, notes: Notes, *, code: str, facts: Mapping[str, Any]) -> bool:
    """End the whole submission by the participant's fault; False if the shard is another's."""
    with transaction.atomic():
        if not shard.finish(**_told(notes)):
            return False
        return _refuse(shard, code, facts)


def _refuse(shard: Shard, code: str, facts: Mapping[str, Any]) -> bool:
    run = shard.run
    if code == "too_slow":  # told of the phase: not of what was left for this worker
        done = Shard.objects.filter(run=run, generating_s__isnull=False)
        made = done.aggregate(n=Sum("count"))["n"] or 0
        made += facts.get("done", 0)
        facts = {"limit_s": float(run.submission.phase.time_limit_s), "done": made}
    _sum_up(run)
    return services.record_refusal(run, code=code, facts=facts)


def record_fault(shard: Shard, notes: Notes, *, reason: str) -> bool:
    """Note that the platform failed; only this shard is made again, after a pause."""
    pause = timedelta(seconds=min(4 ** (shard.faults + 1), 900))
    with transaction.atomic():
        shard.log = f"{notes.log}\n{reason}".strip()[-services.LOG_CHARACTERS :]
        Shard.objects.filter(pk=shard.pk, attempt=shard.attempt).update(log=shard.log)
        if not shard.give_up(faults=1, pause=pause):
            return False
        _end_if_spent(shard)
    return True


def take_from_lost_workers() -> int:
    """Let others have the shards whose workers went silent; return how many."""
    taken = 0
    for shard in Shard.objects.lost().select_related("run__submission"):
        with transaction.atomic():
            if not shard.take_back():
                continue
            _end_if_spent(shard)
        taken += 1
        log.warning("the worker of shard %s was lost", shard)
    return taken


def _end_if_spent(shard: Shard) -> None:
    """Give a run up whose shard has failed too often: an organizer has to look."""
    if shard.faults < settings.EVALUATION_MAX_FAULTS:
        return
    run = shard.run
    _sum_up(run)
    services.record_final_fault(run, reason=shard.log)


def hand_back(shard: Shard) -> None:
    """Let another worker have the shard at once: this one was asked to end, no fault."""
    if shard.give_up():
        dispatch.send(shard.run.submission_id, Status.QUEUED)


def record_stopped(shard: Shard) -> None:
    """Close the run if its submission was cancelled; if only the shard was lost, it goes on."""
    runs = EvaluationRun.objects.filter(pk=shard.run_id, outcome=Outcome.RUNNING)
    gone = runs.exclude(
        submission__attempt=F("attempt"), submission__lease_expires_at__isnull=False
    )
    if gone.exists():
        _sum_up(shard.run)
        services.record_stopped(shard.run)


def open_results(run_id: int) -> list[bytes]:
    """Return what was measured of each shard of a run."""
    found = []
    for shard in Shard.objects.filter(run=run_id, count__gt=0).order_by("first"):
        with shard.result.open("rb") as file:
            found.append(file.read())
    return found


def record_scores(shard: Shard, notes: Notes, card: ScoreCard) -> bool:
    """Store the scores of a run, once, by the worker that holds what puts it together."""
    run = shard.run
    pairs = Pair.objects.filter(reference_set=run.submission.phase.reference_set)
    with transaction.atomic():
        if not shard.finish(**_told(notes)):
            return False
        _sum_up(run)
        stored = services.record_scores(
            run, card, pairs=list(pairs.order_by("position")), pictures=None
        )
    return stored


def _sum_up(run: EvaluationRun) -> None:
    """Let the run tell what its shards took and said."""
    steps: Counter[str] = Counter()
    words = []
    for shard in Shard.objects.filter(run=run).order_by("first"):
        steps.update(shard.steps)
        run.versions = run.versions or shard.versions
        if shard.log:
            words.append(f"[{shard}] {shard.log}")
    run.steps = {name: round(seconds, 3) for name, seconds in steps.items()}
    run.log = "\n".join(words)[-services.LOG_CHARACTERS :]


def resend(at_most: int) -> int:
    """Send messages for shards that wait without one, or had one long ago."""
    stale = Now() - settings.RESEND_AFTER
    overdue = Shard.objects.ready().filter(
        Q(dispatched_at__isnull=True) | Q(dispatched_at__lt=stale)
    )
    sent = 0
    for shard in overdue.select_related("run").order_by("run", "first")[:at_most]:
        if not dispatch.send(shard.run.submission_id, Status.QUEUED):
            break
        Shard.objects.filter(pk=shard.pk).update(dispatched_at=Now())
        sent += 1
    return sent


def clean_up(at_most: int = 8) -> None:
    """Remove the results of runs that have ended, and the pictures of those without scores."""
    ended = Shard.objects.exclude(result="").exclude(run__outcome=Outcome.RUNNING)
    for run in EvaluationRun.objects.filter(pk__in=ended.values("run"))[:at_most]:
        if run.outcome not in (Outcome.PASSED, Outcome.SUPERSEDED):
            outputs = list(Output.objects.filter(run=run))
            Output.objects.filter(run=run).delete()
            discard_pictures(outputs)
        for shard in Shard.objects.filter(run=run).exclude(result=""):
            _discard(str(shard.result.name), ())
        Shard.objects.filter(run=run).update(result="")
