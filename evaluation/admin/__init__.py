"""Organizers' pages about work done: submissions, runs, teams.

They stand above the apps that these are of: what can be done about them is decided here.
"""

from evaluation.admin import run, submission, team

__all__ = ["run", "submission", "team"]
