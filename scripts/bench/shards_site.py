"""Fill a platform of its own for the section on shards, and have its submission scored again.

``python -m scripts.bench.shards_site fill PAIRS``, or ``... again``.
"""

import hashlib
import sys
from dataclasses import replace

import django
from django.core.files.base import ContentFile
from django.core.management import call_command
from django.db.models.functions import Now
from django.utils.timezone import now

PHASE = "Any style"


def fill(pairs: int) -> None:
    """Make one phase of the demo's photographs, over and over, and a submission to it."""
    from competitions.models import Competition, Team
    from evaluation.demo.baselines import trained_baseline
    from evaluation.demo.phases import demo_phases
    from evaluation.demo.seed import add_phase, encode_phase
    from submissions.models import Submission
    from submissions.states import Status

    call_command("migrate", verbosity=0)
    phase = next(phase for phase in demo_phases() if phase.name == PHASE)
    times = -(-pairs // len(phase.contents))
    longer = replace(phase, contents=(phase.contents * times)[:pairs])
    competition = Competition.objects.create(slug="bench", title="Bench", published_at=now())
    baseline = trained_baseline()
    made = add_phase(competition, encode_phase(longer), 1)
    made.time_limit_s = 3600
    made.save()
    Submission.objects.create(
        phase=made,
        team=Team.objects.create(competition=competition, name="Bench"),
        checkpoint=ContentFile(baseline.checkpoint, name=baseline.filename),
        file_name=baseline.filename,
        size_bytes=len(baseline.checkpoint),
        sha256=hashlib.sha256(baseline.checkpoint).hexdigest(),
        manifest=baseline.manifest,
        manifest_sha256=hashlib.sha256(repr(baseline.manifest).encode()).hexdigest(),
        status=Status.QUEUED,
        checked_at=Now(),
        queued_at=Now(),
    )


def begin_again() -> None:
    """Have the submission scored, for the first time or once more."""
    from submissions import dispatch
    from submissions.models import Submission
    from submissions.states import Status

    submission = Submission.objects.get()
    if submission.status != Status.QUEUED:
        submission.restart()
    dispatch.send(submission.pk, Status.QUEUED)


if __name__ == "__main__":
    django.setup()
    if sys.argv[1] == "fill":
        fill(int(sys.argv[2]))
    else:
        begin_again()
