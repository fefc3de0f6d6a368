"""What must hold of the database whatever has failed: each invariant is a query for its violations.

They hold at every moment, but for those of ``AT_REST``, which hold once nothing is under way.
Plain SQL, so that they ask the database and no code of the platform; PostgreSQL and SQLite.
"""

from collections.abc import Callable, Mapping
from typing import Any

Rows = list[tuple[Any, ...]]

ALWAYS: Mapping[str, str] = {
    "a submission has one set of scores that counts, at most": """
        SELECT submission_id FROM evaluation_evaluationrun
        WHERE stage = 'score' AND outcome = 'passed' GROUP BY submission_id HAVING count(*) > 1""",
    "what is scored has a run that passed": """
        SELECT id FROM submissions_submission s WHERE status = 'scored' AND NOT EXISTS (
            SELECT 1 FROM evaluation_evaluationrun r
            WHERE r.submission_id = s.id AND stage = 'score' AND outcome = 'passed')""",
    "a run that passed has a value of each metric, once, and a picture of each pair": """
        SELECT r.id FROM evaluation_evaluationrun r
        JOIN submissions_submission s ON s.id = r.submission_id
        JOIN competitions_phase p ON p.id = s.phase_id
        WHERE stage = 'score' AND outcome = 'passed' AND (
            (SELECT count(*) FROM evaluation_score x WHERE x.run_id = r.id) = 0
            OR (SELECT count(*) FROM evaluation_score x WHERE x.run_id = r.id)
             > (SELECT count(DISTINCT metric) FROM evaluation_score x WHERE x.run_id = r.id)
            OR (SELECT count(*) FROM evaluation_output o WHERE o.run_id = r.id)
            <> (SELECT count(*) FROM competitions_pair q
                WHERE q.reference_set_id = p.reference_set_id))""",
    "scores and pictures belong to runs that passed": """
        SELECT r.id FROM evaluation_evaluationrun r
        WHERE outcome NOT IN ('passed', 'superseded') AND (
            EXISTS (SELECT 1 FROM evaluation_score x WHERE x.run_id = r.id)
            OR EXISTS (SELECT 1 FROM evaluation_output o WHERE o.run_id = r.id))""",
    "a team has one place on a board, held by a submission of its own that is scored or again": """
        SELECT e.id FROM competitions_leaderboardentry e
        LEFT JOIN submissions_submission s ON s.id = e.submission_id
        WHERE s.id IS NULL OR s.team_id <> e.team_id OR s.phase_id <> e.phase_id
            OR s.scored_at IS NULL""",
    "attempts of a submission are numbered once each, up to its own number": """
        SELECT r.id FROM evaluation_evaluationrun r
        JOIN submissions_submission s ON s.id = r.submission_id WHERE r.attempt > s.attempt""",
    "only what is checked or run is leased, and what runs is": """
        SELECT id FROM submissions_submission
        WHERE (lease_expires_at IS NOT NULL AND status NOT IN ('checking', 'running'))
            OR (lease_expires_at IS NULL AND status = 'running')""",
    "of a submission one run is open, at most": """
        SELECT submission_id FROM evaluation_evaluationrun WHERE outcome = 'running'
        GROUP BY submission_id, attempt HAVING count(*) > 1""",
    "what failed says why, and nothing else does": """
        SELECT id FROM submissions_submission
        WHERE (failure_code = '') = (status IN ('rejected', 'failed', 'platform_fault'))""",
    "what has ended says when, and waits for nothing": """
        SELECT id FROM submissions_submission
        WHERE status IN ('scored', 'failed', 'rejected', 'cancelled')
            AND (finished_at IS NULL OR not_before IS NOT NULL)""",
    "times are in order": """
        SELECT id FROM submissions_submission
        WHERE finished_at < started_at OR started_at < queued_at OR queued_at < created_at""",
    "an upload that is used has a submission, and nothing else has": """
        SELECT id FROM submissions_upload
        WHERE (status = 'used') <> (submission_id IS NOT NULL)""",
}
AT_REST: Mapping[str, str] = {
    "no submission is on its way": """
        SELECT id FROM submissions_submission WHERE status IN ('checking', 'queued', 'running')
            OR (status = 'platform_fault' AND finished_at IS NULL)""",
    "no run is open": "SELECT id FROM evaluation_evaluationrun WHERE outcome = 'running'",
    "no preparation is on its way": """
        SELECT id FROM competitions_preparation WHERE status IN ('waiting', 'running')""",
}


def violations(query: Callable[[str], Rows], *, at_rest: bool = False) -> dict[str, Rows]:
    """Return what violates each invariant that is violated."""
    wanted = {**ALWAYS, **(AT_REST if at_rest else {})}
    found = {name: query(sql) for name, sql in wanted.items()}
    return {name: rows for name, rows in found.items() if rows}
