"""Fill an empty database for the tests that drive a real web server; prints what they need."""

import json
from datetime import timedelta


def main() -> None:
    import django

    django.setup()
    from django.utils.timezone import now

    from arena.accounts.models import ApiToken
    from tests.factories import make_phase, make_scored_submission, make_team, make_user

    user = make_user(username="ada")
    limits = {"quota_per_day": 50, "quota_concurrent": 50, "max_checkpoint_bytes": 64 * 2**20}
    past = {"opens_at": now() - timedelta(days=2), "closes_at": now() - timedelta(days=1)}
    phases = {
        "open": make_phase(**limits),
        "closed": make_phase(**limits | past),
        "tight": make_phase(**limits | {"quota_per_day": 1}),
        "small": make_phase(**limits | {"max_checkpoint_bytes": 1000}),
        "huge": make_phase(**limits | {"max_checkpoint_bytes": 2 * 2**30}),
        "foreign": make_phase(**limits),
    }
    for name, phase in phases.items():
        if name != "foreign":
            make_team(user, phase=phase)
    scored = make_scored_submission(phase=phases["open"])
    _token, key = ApiToken.issue(user, name="test")
    ids = {name: phase.pk for name, phase in phases.items()}
    print(json.dumps({"key": key, "phases": ids, "scored": str(scored.pk)}))


if __name__ == "__main__":
    main()
