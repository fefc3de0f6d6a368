"""A running platform as a participant with curl sees it."""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

from tests.deployment import Deployment

SCORED_S = 240.0
SIZE = 64
PAIRS = 4
ENDED = ("scored", "failed", "rejected", "cancelled")
FAST_LEASES = {"ARENA_LEASE_SECONDS": "4", "ARENA_HEARTBEAT_SECONDS": "1"}

METRICS = [
    *("content", "style", "total", "fid_pytorch", "lpips", "artfid"),
    *("ms_per_image", "parameters", "peak_memory"),
]

# Small pictures, the surrogate networks and one user who has joined.
SETUP = """
from styletransfer.pretrained import extractor_pin
from styletransfer.surrogates import BY_ROLE
from tests.factories import *
phase = make_phase(
    competition=make_competition(slug="%(slug)s"),
    reference_set=make_reference_set(pairs=%(pairs)d, size=%(size)d, reals=4),
    extractors={role: extractor_pin(name) for role, name in BY_ROLE.items()},
    recipe=make_recipe(**%(recipe)r),
    **%(limits)r
)
alice = User.objects.filter(username="alice").first() or make_user(username="alice")
make_team(alice, phase=phase)
print(phase.pk)
"""


class Site:
    """One deployment with a phase and a participant, alice."""

    def __init__(self, deployment: Deployment, **phase: Any) -> None:
        self.deployment = deployment
        self.phase = self.add_phase(**phase)
        self.token = deployment.manage("token", "alice").strip()

    def add_phase(
        self,
        *,
        pairs: int = PAIRS,
        size: int = SIZE,
        recipe: Mapping[str, Any] | None = None,
        **limits: Any,
    ) -> str:
        limits = {"quota_concurrent": 20, "quota_per_day": 50, **limits}
        code = SETUP % {
            "pairs": pairs,
            "size": size,
            "recipe": dict(recipe or {"metrics": METRICS}),
            "limits": limits,
            "slug": uuid4().hex,
        }
        return self.deployment.manage("shell", "-v", "0", "-c", code).split()[-1]

    def curl(self, path: str, *options: str, token: str | None = None) -> tuple[int, Any]:
        url = path if path.startswith("http") else f"{self.deployment.url}/api/v1/{path}"
        token = self.token if token is None else token
        command = ["curl", "-sS", "-w", "\n%{http_code}", "-H", f"Authorization: Token {token}"]
        done = subprocess.run([*command, *options, url], capture_output=True, check=True)
        body, _, status = done.stdout.rpartition(b"\n")
        return int(status), json.loads(body) if body[:1] in b"{[" and body else body

    def submit(
        self, checkpoint: Path, manifest: dict[str, Any], *, phase: str = ""
    ) -> tuple[int, Any]:
        return self.curl(
            f"phases/{phase or self.phase}/submissions/",
            *("-F", f"checkpoint=@{checkpoint}"),
            *("-F", f"manifest={json.dumps(manifest)}"),
        )

    def status(self, submission: str) -> str:
        return str(self.curl(f"submissions/{submission}/")[1]["status"])

    def wait_until_ended(self, submission: str) -> Any:
        self.deployment.wait_for(
            "the end of the submission", lambda: self.status(submission) in ENDED, SCORED_S
        )
        return self.curl(f"submissions/{submission}/")[1]

    def wait_for_status(self, submission: str, status: str) -> None:
        self.deployment.wait_for(status, lambda: self.status(submission) == status, SCORED_S)
