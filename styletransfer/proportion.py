"""Judge how much worse disturbed outputs scored; free of torch, for pages show it too."""

from collections.abc import Mapping
from dataclasses import dataclass

Ratios = Mapping[str, Mapping[str, float]]
"""By disturbance, then by metric: how many times as bad."""

# How many times as bad an honest output may get, or how many times what is usual. Measured on
# photographs and paintings of 96 to 256 pixels, see docs/metrics.md.
LIMIT = 1.17

# A loss and the same loss relative to a baseline would say everything twice.
_TOLD_BY = {"content_relative": "content", "style_relative": "style"}


@dataclass(frozen=True)
class Excess:
    """A metric that gets worse than it should.

    Attributes:
        disturbance: by which it gets worst, of ``shift``, ``jpeg`` and ``blur``.
        value: how many times as bad.
        usual: how many times it is for others, where that is known.
    """

    metric: str
    disturbance: str
    value: float
    usual: float | None = None


def find_excess(ratios: Ratios, usual: Ratios | None = None) -> list[Excess]:
    """Return the metrics that worsen out of proportion, each with its worst disturbance.

    Args:
        ratios: of the outputs to judge.
        usual: those of the field, where there is one. A field that a disturbance makes better
            makes nobody suspicious who stays as good as before.
    """
    found: dict[str, tuple[float, Excess]] = {}
    measured = {metric for metrics in ratios.values() for metric in metrics}
    for name, metrics in ratios.items():
        for metric, value in metrics.items():
            others = (usual or {}).get(name, {}).get(metric)
            beside = value / max(1.0, others or 1.0)
            known = found[metric][0] if metric in found else LIMIT
            if beside > known and _TOLD_BY.get(metric) not in measured:
                found[metric] = beside, Excess(metric, name, value, others)
    return [excess for _, excess in found.values()]
