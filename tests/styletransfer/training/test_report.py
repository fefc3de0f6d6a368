"""Reports of a training: the page, and TensorBoard's event files."""

import re
from pathlib import Path

import numpy as np
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from styletransfer.training.event_files import EventFiles
from styletransfer.training.events import Finished, Listener, Sampled, Started, Stepped, Warned
from styletransfer.training.report import HtmlReport


def tell(listener: Listener, steps: range, *, complete: bool) -> None:
    listener(Started({"alpha": "<b>1"}, steps.start, 10, "cpu", 1234))
    for step in steps:
        listener(
            Stepped(
                step=step,
                steps=10,
                content=1.0 + step,
                style=2.0,
                adversarial=0.0,
                total=9.0 - step,
                discriminator=0.0,
                real_score=0.0,
                made_score=0.0,
                generator_rate=1e-3,
                discriminator_rate=1e-3,
                gradient_norm=1.0,
                diversity=None,
                seconds=0.5,
            )
        )
    listener(Warned(steps.stop - 1, "spike", "It rose <fast>.", "Rates are halved."))
    listener(Sampled(steps.stop, np.full((8, 8, 3), steps.stop, np.uint8)))
    listener(Finished(steps.stop, complete, None))


def test_a_page_holds_everything_and_loads_nothing_also_after_going_on(tmp_path: Path) -> None:
    tell(HtmlReport(tmp_path), range(5), complete=False)
    (tmp_path / "samples").mkdir()
    (tmp_path / "samples" / "000005.png").write_bytes(b"\x89PNG")
    assert "stopped after 5 steps" in (tmp_path / "report.html").read_text()
    tell(HtmlReport(tmp_path), range(4, 10), complete=True)
    page = (tmp_path / "report.html").read_text()
    assert "complete" in page
    assert "10 of 10" in page  # step 4 was told twice and counts once
    assert page.count("<polyline") == 2  # what never varies is not drawn
    assert "&lt;fast&gt;" in page
    assert "&lt;b&gt;1" in page
    sources = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert sources
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert "http" not in re.sub(r'src="[^"]*"', "", page)


def test_event_files_hold_losses_and_samples(tmp_path: Path) -> None:
    tell(EventFiles(tmp_path), range(5), complete=True)
    read = EventAccumulator(str(tmp_path / "tensorboard"))
    read.Reload()
    assert [each.value for each in read.Scalars("total")] == [9, 8, 7, 6, 5]
    assert [each.step for each in read.Images("samples")] == [5]
