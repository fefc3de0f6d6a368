"""Generators that cheat each way go through the worker and a real sandbox, and are flagged."""

import json
from collections.abc import Iterator, Sequence
from datetime import timedelta

import jsonschema
import pytest

from competitions.models import Phase
from evaluation import services
from evaluation.assignment import Notes
from evaluation.attempts import Attempt
from evaluation.demo.baselines import identity_baseline, style_paste_baseline, trained_baseline
from evaluation.flag_texts import flag_lines
from evaluation.lease import Lease
from evaluation.local_desk import LocalDesk
from evaluation.models import Stage
from evaluation.row_lease import RowHold
from evaluation.runner import open_scorer
from evaluation.sandbox import SandboxStopped, SandboxUnavailable, Stylised
from evaluation.second_pass import make_second_pass
from evaluation.worker import sandboxes, workplace
from styletransfer.card_schema import read_schema
from styletransfer.errors import CheckpointRejected
from styletransfer.second_pass import UNAVAILABLE, SecondPass, choose_order
from styletransfer.values import ReferenceImages
from submissions.states import Status
from tests.evaluation.gallery_of_cheats import (
    METRICS,
    PAIRS,
    Entry,
    demo_references,
    evaluate,
    flags_of,
    open_phase,
    recalls,
    shifted_copy,
)
from tests.factories import make_phase, make_submission, make_team
from tests.styletransfer.optimising import optimise

pytestmark = pytest.mark.django_db(transaction=True)
ALL = list(range(PAIRS))


@pytest.fixture(name="references", scope="module")
def draw_references() -> ReferenceImages:
    return demo_references()


@pytest.fixture(scope="module", autouse=True)
def _close_sandboxes() -> Iterator[None]:
    yield
    sandboxes().close()
    sandboxes.cache_clear()


@pytest.fixture(name="phase")
def make_phase_of_photographs(references: ReferenceImages) -> Phase:
    return open_phase(references)


def test_a_trained_generator_is_not_flagged(phase: Phase) -> None:
    baseline = trained_baseline()
    run = evaluate(Entry(baseline.checkpoint, baseline.manifest), phase)
    assert run.card is not None
    assert flags_of(run) == {}
    second = run.card["guards"]["second_pass"]
    assert len(second["pairs"]) == 2
    assert (second["largest"], second["share"], second["failure"]) == ([0, 0], [0, 0], None)
    assert {"order", "sensitivity"} <= set(run.steps)
    ratios = run.card["guards"]["sensitivity"]["ratios"]
    assert set(ratios) == {"shift", "jpeg", "blur"}
    assert all(set(METRICS) - set(found) == {"fid_pytorch"} for found in ratios.values())
    jsonschema.validate(run.card, json.loads(read_schema()))


def test_copies_are_flagged_also_when_they_are_disguised(phase: Phase) -> None:
    identity, paste = identity_baseline(), style_paste_baseline()
    for code, entry in (
        ("copies_content", Entry(identity.checkpoint, identity.manifest)),
        ("copies_style", Entry(paste.checkpoint, paste.manifest)),
        ("copies_content", shifted_copy("content")),
        ("copies_style", shifted_copy("style")),
    ):
        run = evaluate(entry, phase)
        assert flags_of(run)[code] == ALL
        assert any("nearly their" in line for line in flag_lines(run))


def test_declared_baselines_are_exempt_from_the_flags_of_copies_alone(phase: Phase) -> None:
    identity = identity_baseline()
    team = make_team(phase=phase, is_baseline=True)
    run = evaluate(Entry(identity.checkpoint, identity.manifest), phase, team=team)
    assert flags_of(run)["copies_content"] == ALL  # the card says what is there
    assert flag_lines(run) == []
    assert run.card is not None
    run.card["flags"].append({"code": "depends_on_order", "pairs": [1], "value": 3.0})
    run.save(update_fields=["card"])
    assert len(flag_lines(run)) == 1


def test_reference_images_that_a_graph_has_learned_by_heart_are_flagged(
    phase: Phase, references: ReferenceImages
) -> None:
    run = evaluate(recalls(references.contents, references.reals), phase)
    assert "near_references" in flags_of(run)
    assert "copies_content" not in flags_of(run)


def test_stored_pictures_that_were_fitted_to_the_networks_are_flagged(
    phase: Phase, references: ReferenceImages
) -> None:
    desk = desk_for(phase)
    prepared = open_scorer(desk, workplace(), desk.load_references()).prepare()
    fitted = [
        optimise(prepared, number, references.contents[content], levels=12, steps=20)
        for number, (content, _) in enumerate(references.pairs)
    ]
    contents = [references.contents[content] for content, _ in references.pairs]
    run = evaluate(recalls(contents, fitted), phase)
    assert "sensitive" in flags_of(run)
    assert any("times as bad when the outputs are" in line for line in flag_lines(run))


@pytest.mark.parametrize("code", ["generator_crashed", "too_slow", "non_finite_output"])
def test_a_generator_that_fails_in_the_second_pass_is_flagged(code: str) -> None:
    found = second_pass_that(CheckpointRejected(code))
    assert found.failure == code
    assert [flag.code for flag in found.flags()] == ["fails_second_pass"]


def test_a_sandbox_that_fails_in_the_second_pass_blames_nobody() -> None:
    found = second_pass_that(SandboxUnavailable("no memory left"))
    assert found.failure == UNAVAILABLE
    assert found.flags() == []


def test_a_submission_that_is_taken_over_in_the_second_pass_is_left_to_the_other() -> None:
    with pytest.raises(SandboxStopped):
        second_pass_that(SandboxStopped())


def second_pass_that(error: Exception) -> SecondPass:
    def fail(_numbers: Sequence[int]) -> Stylised:
        raise error

    desk = desk_for(make_phase())
    lease = Lease(RowHold(make_submission()), deadline=timedelta(minutes=1))
    attempt = Attempt(desk, lease, workplace(), Notes())
    return make_second_pass(attempt, choose_order(PAIRS, 0), [].__getitem__, fail)


def desk_for(phase: Phase) -> LocalDesk:
    submission = make_submission(phase=phase, status=Status.QUEUED)
    run = services.begin(submission, Stage.SCORE, worker="test")
    assert run is not None
    return LocalDesk(run)
