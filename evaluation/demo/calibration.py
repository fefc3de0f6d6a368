"""The weights of the demo's recipes, computed once and shipped beside the networks."""

import hashlib
import json
from importlib.resources import files

from evaluation.demo.baselines import discriminator_bytes
from evaluation.demo.phases import VGG, DemoPhase, demo_phases
from styletransfer.pretrained import extractor_pin
from styletransfer.recipe import Recipe
from styletransfer.values import ReferenceImages

FILE_NAME = "calibration.json"


def calibrate_phases(discriminator: bytes) -> dict[str, dict[str, float]]:
    """Return alpha, beta and gamma of each phase; takes a minute of one core."""
    from styletransfer.calibration import calibrate  # loads torch: not for those who only read

    weights = {}
    for phase in demo_phases():
        recipe = calibrate(Recipe(), _references(phase), extractor_pin(VGG), discriminator)
        weights[phase.name] = {
            "alpha": recipe.alpha,
            "beta": recipe.beta,
            "gamma": recipe.gamma,
        }
    return weights


def _references(phase: DemoPhase) -> ReferenceImages:
    return ReferenceImages(
        contents=[image.pixels for image in phase.contents],
        styles=[image.pixels for image in phase.styles],
        pairs=phase.pairs,
        reals=[],  # calibration needs none
        sha256="",  # nothing is cached under it
    )


def to_json(weights: dict[str, dict[str, float]]) -> str:
    return json.dumps(weights, indent=2) + "\n"


def shipped_recipe(phase_name: str) -> Recipe:
    """Return a phase's recipe with the weights that ``train_baseline`` wrote.

    They belong to the very pictures that the demo shows; to compute them again would cost a
    newcomer a minute before the first score.
    """
    text = (files("evaluation.demo") / "assets" / FILE_NAME).read_text()
    return Recipe(
        **json.loads(text)[phase_name],
        discriminator_sha256=hashlib.sha256(discriminator_bytes()).hexdigest(),
    )
