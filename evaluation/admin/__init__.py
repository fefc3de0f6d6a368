"""Organizers' pages about work done: submissions, runs, teams; and who does it: workers.

They stand above the apps that these are of: what can be done about them is decided here.
"""

from evaluation.admin import run, submission, team, worker, worker_token

__all__ = ["run", "submission", "team", "worker", "worker_token"]
