"""A training's report: one HTML file with losses, samples over time, warnings and settings.

It loads nothing from anywhere, and is written anew with every grid of samples and at the end.
"""

import base64
import html
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from styletransfer.determinism import versions
from styletransfer.images import encode_png
from styletransfer.training.events import (
    Event,
    Finished,
    Sampled,
    Started,
    Stepped,
    Warned,
)

CURVES = ("total", "content", "style", "adversarial", "discriminator", "real_score", "made_score")
# More would make the file large and show no more.
_POINTS = 300
_GRIDS = 30
_WIDTH, _HEIGHT = 640, 200


class HtmlReport:
    """A listener that keeps ``report.html`` up to date in a folder.

    What a resumed training told before is read back from ``report.json`` beside it.
    """

    def __init__(self, out: Path) -> None:
        self.out = out
        self.steps: list[dict[str, Any]] = []
        self.warnings: list[dict[str, Any]] = []
        self.grids: list[tuple[int, bytes]] = []
        self.started: Started | None = None
        self.state = "running"

    def __call__(self, event: Event) -> None:
        if isinstance(event, Started):
            self.started = event
            self._read_back(event.step)
        elif isinstance(event, Stepped):
            values = {name: getattr(event, name) for name in CURVES}
            self.steps.append({"step": event.step, "seconds": event.seconds, **values})
        elif isinstance(event, Warned):
            self.warnings.append(vars(event))
        elif isinstance(event, Sampled):
            self.grids.append((event.step, encode_png(event.grid)))
            self.write()
        elif isinstance(event, Finished):
            self.state = "complete" if event.is_complete else f"stopped after {event.step} steps"
            self.write()

    def write(self) -> None:
        """Write the page and what is needed to go on with it."""
        self.out.mkdir(parents=True, exist_ok=True)
        kept = json.dumps({"steps": self.steps, "warnings": self.warnings})
        for name, text in (("report.json", kept), ("report.html", self._page())):
            draft = self.out / f".{name}.part"
            draft.write_text(text, encoding="utf-8")
            draft.replace(self.out / name)

    def _read_back(self, step: int) -> None:
        path = self.out / "report.json"
        if not step or not path.is_file():
            return
        before = json.loads(path.read_text(encoding="utf-8"))
        self.steps = [each for each in before["steps"] if each["step"] < step]
        self.warnings = [each for each in before["warnings"] if each["step"] < step]
        for file in sorted((self.out / "samples").glob("*.png")):
            if file.stem.isdigit() and int(file.stem) <= step:
                self.grids.append((int(file.stem), file.read_bytes()))

    def _page(self) -> str:
        started = self.started
        config = dict(started.config) if started else {}
        done = self.steps[-1]["step"] + 1 if self.steps else 0
        facts = {
            "state": self.state,
            "steps": f"{done} of {started.steps if started else '?'}",
            "device": started.device if started else "?",
            "parameters": f"{started.parameters:,}" if started else "?",
            "seconds": f"{sum(each['seconds'] or 0 for each in self.steps):,.0f}",
        }
        curves = "".join(_curve(name, self.steps) for name in CURVES if self._varies(name))
        named = versions()
        software = {"python": named["python"], **named["libraries"]}
        warned = "".join(
            f"<li>step {each['step']}: {html.escape(each['found'] + ' ' + each['done'])}</li>"
            for each in self.warnings
        )
        return _PAGE.format(
            facts=_table(facts),
            samples=_samples(_thin(self.grids, _GRIDS)),
            curves=curves or "<p>No step is done yet.</p>",
            warnings=f"<ul>{warned}</ul>" if warned else "<p>None.</p>",
            config=_table(config),
            software=_table(software),
        )

    def _varies(self, name: str) -> bool:
        return len({each[name] for each in self.steps}) > 1


def _thin(values: Sequence[Any], limit: int) -> list[Any]:
    """Return at most so many values, evenly spread, the first and the last among them."""
    if len(values) <= limit:
        return list(values)
    return [values[round(i * (len(values) - 1) / (limit - 1))] for i in range(limit)]


def _curve(name: str, steps: Sequence[dict[str, Any]]) -> str:
    """Draw means over equal parts of the training as inline SVG."""
    part = max(1, -(-len(steps) // _POINTS))
    chunks = [steps[start : start + part] for start in range(0, len(steps), part)]
    points = [(c[-1]["step"], sum(each[name] for each in c) / len(c)) for c in chunks]
    low, high = min(y for _, y in points), max(y for _, y in points)
    first, last = points[0][0], max(points[-1][0], points[0][0] + 1)
    line = " ".join(
        f"{(x - first) / (last - first) * _WIDTH:.1f},"
        f"{_HEIGHT - (y - low) / ((high - low) or 1) * _HEIGHT:.1f}"
        for x, y in points
    )
    label = html.escape(name.replace("_", " "))
    return (
        f"<figure><figcaption>{label}: <b>{points[-1][1]:.4g}</b> "
        f"({low:.4g} to {high:.4g})</figcaption>"
        f'<svg viewBox="-4 -4 {_WIDTH + 8} {_HEIGHT + 8}" role="img" '
        f'aria-label="{label} from {points[0][1]:.4g} to {points[-1][1]:.4g}">'
        f'<polyline points="{line}"/></svg>'
        f"<small>step {first} to {points[-1][0]}</small></figure>"
    )


def _samples(grids: Sequence[tuple[int, bytes]]) -> str:
    if not grids:
        return "<p>None yet.</p>"
    images = "".join(
        f'<img data-step="{step}" {"" if number == len(grids) - 1 else "hidden"} '
        f'alt="samples after step {step}" '
        f'src="data:image/png;base64,{base64.b64encode(png).decode()}">'
        for number, (step, png) in enumerate(grids)
    )
    last = len(grids) - 1
    return (
        f'<label>after step <output id="step">{grids[-1][0]}</output><input type="range" '
        f'id="when" min="0" max="{last}" value="{last}"></label>'
        f'<div class="grids" id="grids">{images}</div>'
    )


def _table(values: dict[str, Any]) -> str:
    rows = "".join(
        f"<tr><th>{html.escape(str(key))}</th><td>{html.escape(str(value))}</td></tr>"
        for key, value in values.items()
    )
    return f"<table>{rows}</table>"


_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Training</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: auto; padding: 1rem; }}
figure {{ margin: 0 0 1rem; }}
.curves {{ display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(17rem, 1fr)); }}
svg {{ width: 100%; border: 1px solid #8886; }}
polyline {{ fill: none; stroke: light-dark(#0b5fae, #7db8f0); stroke-width: 2; }}
input[type=range] {{ width: 100%; }}
.grids img {{ max-width: 100%; height: auto; }}
table {{ border-collapse: collapse; }}
th, td {{ text-align: left; padding: .15rem .8rem .15rem 0; overflow-wrap: anywhere; }}
th {{ font-weight: normal; opacity: .75; vertical-align: top; }}
</style>
<h1>Training</h1>{facts}
<h2>Samples</h2>{samples}
<h2>Losses</h2><div class="curves">{curves}</div>
<h2>Warnings</h2>{warnings}
<details><summary>Settings</summary>{config}</details>
<details><summary>Versions</summary>{software}</details>
<script>
const when = document.getElementById("when");
when?.addEventListener("input", () => {{
  document.querySelectorAll("#grids img").forEach((image, number) => {{
    image.hidden = number !== Number(when.value);
    if (!image.hidden) document.getElementById("step").textContent = image.dataset.step;
  }});
}});
</script></html>
"""
