"""Who may do what, in one table: every page, picture and act of the site by role."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.db import transaction
from django.http.response import HttpResponseBase
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from django.utils.timezone import now

from tests.access.people import ROLES, Scene, make_scene

pytestmark = pytest.mark.django_db

TUS = {"Tus-Resumable": "1.0.0"}
TUS_METHODS = ("head", "patch", "delete")
# How an answer is written in the table.
OK, LOG_IN, FORBIDDEN, HIDDEN, DONE = "ok", "log in", "403", "404", "done"

EVERYBODY = dict.fromkeys(ROLES, OK)
PEOPLE = EVERYBODY | {"nobody": LOG_IN}
TEAM = dict.fromkeys(ROLES, HIDDEN) | dict.fromkeys(("teammate", "organizer", "administrator"), OK)
NO_ROLE = dict.fromkeys(ROLES, HIDDEN) | {"nobody": LOG_IN}  # its owner alone, who has none
ORGANIZERS = dict.fromkeys(ROLES, HIDDEN) | dict.fromkeys(("organizer", "administrator"), OK)


@dataclass(frozen=True)
class Line:
    """One address with what each role gets there."""

    route: str
    expected: dict[str, str]
    row: str = ""
    """The row it is about, by its name in the scene."""
    method: str = "get"
    data: Any = None
    extra: tuple[object, ...] = ()
    headers: dict[str, str] | None = None

    def __str__(self) -> str:
        return f"{self.method} {self.route} {self.row}".strip()

    def address(self, scene: Scene) -> str:
        arguments: tuple[object, ...] = self.extra
        if self.row == "key":
            arguments = (scene.key, *self.extra)
        elif self.row == "slug":
            arguments = (scene.competition.slug, *self.extra)
        elif self.row:
            arguments = (scene.rows[self.row].pk, *self.extra)
        return reverse(self.route, args=arguments)


def like(base: dict[str, str], **changes: str) -> dict[str, str]:
    """Return ``base`` with changes; an underscore stands for a space."""
    return base | {role.replace("_", " "): answer for role, answer in changes.items()}


# Pages. The competition is published; its pairs are hidden.
PAGES = [
    Line("home", EVERYBODY),
    Line("score-card-schema", EVERYBODY),
    Line("competition", EVERYBODY, "slug"),
    Line("board", EVERYBODY, "phase"),
    Line("board-csv", EVERYBODY, "phase"),
    Line("join", like(PEOPLE, rival=DONE, teammate=DONE), "slug"),
    Line(
        "team",
        like(
            PEOPLE,
            **dict.fromkeys(
                ("stranger", "other_organizer", "organizer", "staff", "administrator"), DONE
            ),
        ),
        "slug",
    ),
    Line("invitation", EVERYBODY, "key"),
    Line("submit", PEOPLE, "phase"),
    Line("my-submissions", PEOPLE),
    Line("settings", PEOPLE),
    Line("tokens", PEOPLE),
    Line("submission", EVERYBODY, "scored"),
    Line("submission-live", EVERYBODY, "scored"),
    Line("score-card", EVERYBODY, "scored"),
    Line("submission", TEAM, "failed"),
    Line("submission-live", TEAM, "failed"),
    Line("score-card", dict.fromkeys(ROLES, HIDDEN), "failed"),
    Line("submission-log", like(TEAM, nobody=HIDDEN), "scored"),
    Line("submission-log", TEAM, "failed"),
]
# Hidden pairs: pictures of references and outputs are for organizers.
PICTURES = [
    Line("banner", EVERYBODY, "banner"),
    Line("pairs-zip", ORGANIZERS, "phase"),
    Line("reference-image", ORGANIZERS, "image"),
    Line("reference-thumbnail", ORGANIZERS, "image"),
    Line("output", ORGANIZERS, "scored", extra=(0,)),
    Line("output-thumbnail", ORGANIZERS, "scored", extra=(0,)),
    *(Line("check-picture", TEAM, "waiting", extra=(each,)) for each in ("content", "picture")),
    Line("check-picture", dict.fromkeys(ROLES, HIDDEN), "failed", extra=("picture",)),
]
REST = [
    Line("api-competitions", EVERYBODY),
    Line("api-competition", EVERYBODY, "slug"),
    Line("api-leaderboard", EVERYBODY, "phase"),
    Line("api-phase-submissions", PEOPLE, "phase"),
    Line("api-phase-uploads", PEOPLE, "phase"),
    Line("api-upload", NO_ROLE, "upload"),
    Line("api-phase-pairs", ORGANIZERS, "phase"),
    Line("api-submission", EVERYBODY, "scored"),
    Line("api-submission", TEAM, "failed"),
    Line("api-output", ORGANIZERS, "scored", extra=(0,)),
    Line("api-check-picture", TEAM, "waiting", extra=("picture",)),
    Line("api-check-picture", dict.fromkeys(ROLES, HIDDEN), "waiting", extra=("style",)),
]
ACTS = [
    Line(
        "submission-cancel",
        like(TEAM, nobody=LOG_IN, teammate=DONE, organizer=DONE, administrator=DONE),
        "waiting",
        "post",
    ),
    Line("api-submission-cancel", like(TEAM, nobody=LOG_IN), "waiting", "post"),
    # What describes it is the team's alone: an organizer sees it, and changes nothing.
    *(
        Line(route, like(NO_ROLE, nobody=LOG_IN, teammate=DONE), "waiting", "post")
        for route in ("submission-change", "submission-release")
    ),
    *(
        Line(
            route,
            like(
                NO_ROLE,
                **{"nobody": LOG_IN, "teammate": teammate},
                **dict.fromkeys(("organizer", "administrator"), FORBIDDEN),
            ),
            "waiting",
            "post",
        )
        for route, teammate in (
            ("api-submission-manifest", "415"),
            ("api-submission-release", "409"),
        )
    ),
    Line("token-revoke", NO_ROLE, "token", "post"),
    Line(
        "api-phase-uploads",
        dict.fromkeys(ROLES, FORBIDDEN) | {"nobody": LOG_IN, "rival": OK, "teammate": OK},
        "phase",
        "post",
        headers={**TUS, "Upload-Length": "10"},
    ),
    *(Line("api-upload", NO_ROLE, "upload", each, headers=TUS) for each in TUS_METHODS),
    Line(
        "api-phase-submissions",
        dict.fromkeys(ROLES, LOG_IN),  # by token only; whose upload it is, tests/uploading asks
        "phase",
        "post",
    ),
]
# For workers on other machines: no person gets in, whoever they are. With tokens of workers,
# tests/evaluation/test_gateway.py asks.
WORKERS = [
    *(
        Line(f"api-worker-{act}", dict.fromkeys(ROLES, LOG_IN), method="post")
        for act in ("join", "beat", "claim")
    ),
    Line("api-worker-renew", dict.fromkeys(ROLES, LOG_IN), "run", "post"),
    Line("api-worker-report", dict.fromkeys(ROLES, LOG_IN), "run", "post", extra=("scores",)),
    Line("api-worker-files", dict.fromkeys(ROLES, LOG_IN), "run"),
    Line("api-worker-references", dict.fromkeys(ROLES, LOG_IN), "run"),
    Line("api-worker-file", dict.fromkeys(ROLES, FORBIDDEN), extra=("made-up",)),
]
# Pages of the admin, by the model they are about.
ADMIN_ROLES = dict.fromkeys(ROLES, LOG_IN) | {
    "other organizer": HIDDEN,
    "staff": FORBIDDEN,
    "organizer": OK,
    "administrator": OK,
}
ADMIN = [
    Line("admin:index", ADMIN_ROLES | {"other organizer": OK, "staff": OK}),
    *(
        Line(f"admin:{model}_changelist", ADMIN_ROLES | {"other organizer": OK})
        for model in (
            *("competitions_competition", "competitions_phase", "competitions_scoringrecipe"),
            *("competitions_referenceset", "competitions_announcement", "competitions_team"),
            *("submissions_submission", "evaluation_evaluationrun"),
        )
    ),
    *(
        Line(f"admin:{model}_change", ADMIN_ROLES, row)
        for model, row in (
            ("competitions_competition", "competition"),
            ("competitions_phase", "phase"),
            ("competitions_scoringrecipe", "recipe"),
            ("competitions_referenceset", "references"),
            ("competitions_announcement", "announcement"),
            ("competitions_team", "team"),
            ("submissions_submission", "failed"),
            ("evaluation_evaluationrun", "run"),
        )
    ),
    Line(
        "admin:accounts_user_changelist",
        ADMIN_ROLES | {"organizer": FORBIDDEN, "other organizer": FORBIDDEN},
    ),
]
GROUPS = {
    "pages": PAGES,
    "pictures": PICTURES,
    "rest": REST,
    "acts": ACTS,
    "workers": WORKERS,
    "admin": ADMIN,
}
TABLE = [line for lines in GROUPS.values() for line in lines]
# Routes that have tests of their own: the account's own pages, which allauth keeps to their owner.
ELSEWHERE = ("account_", "mfa_", "usersessions_", "admin:", "session-end", "unsubscribe")


def answer_of(response: HttpResponseBase) -> str:
    status = response.status_code
    if status == 401:
        return LOG_IN
    if status in {301, 302}:
        to = response.headers["Location"]
        return LOG_IN if "/login/" in to else HIDDEN if to == reverse("admin:index") else DONE
    return OK if status in {200, 201, 286} else str(status)


def ask(client: Client, line: Line, scene: Scene) -> str:
    with transaction.atomic():  # whatever an act did is undone for the next role
        answer = answer_of(
            getattr(client, line.method)(line.address(scene), line.data, headers=line.headers)
        )
        transaction.set_rollback(True)
    return answer


@pytest.mark.parametrize("group", GROUPS)
def test_each_role_gets_what_the_table_says(group: str) -> None:
    scene = make_scene()
    clients = {role: scene.client(role) for role in ROLES}
    for line in GROUPS[group]:
        found = {role: ask(client, line, scene) for role, client in clients.items()}
        assert found == line.expected, line


def test_a_draft_is_there_for_its_organizers_only() -> None:
    scene = make_scene(published_at=None)
    about = {"slug", "phase", "scored", "failed", "image"}
    for line in (*PAGES, *PICTURES, *REST):
        if line.row not in about or line.route in {"join", "team", "submit"}:
            continue
        for role in ("stranger", "nobody", "other organizer", "staff"):
            answer = ask(scene.client(role), line, scene)
            assert answer in {HIDDEN, LOG_IN}, f"{line}: {role}"
        if line.expected["organizer"] == OK:
            assert ask(scene.client("organizer"), line, scene) == OK, line


def test_a_hidden_submission_is_there_for_its_team_and_organizers_only() -> None:
    scene = make_scene()
    scored = scene.rows["scored"]
    type(scored)._default_manager.filter(pk=scored.pk).update(
        exclusion="hidden", exclusion_reason="entered by mistake", excluded_at=now()
    )
    for route in ("submission", "submission-live", "score-card", "api-submission"):
        found = {role: ask(scene.client(role), Line(route, {}, "scored"), scene) for role in ROLES}
        assert found == TEAM, route


def test_every_route_has_its_line() -> None:
    named = set(_names("", get_resolver().url_patterns))
    lines = {line.route for line in TABLE}
    missing = {name for name in named - lines if not name.startswith(ELSEWHERE)}
    assert missing <= {"set_language", ""}


def _names(space: str, patterns: list[URLPattern | URLResolver]) -> Iterator[str]:
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            inner = f"{space}{pattern.namespace}:" if pattern.namespace else space
            yield from _names(inner, pattern.url_patterns)
        elif pattern.name:
            yield space + pattern.name
