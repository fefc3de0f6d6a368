"""The pictures that were scored, as files with a row each."""

import logging
from collections.abc import Sequence

from django.core.files.base import ContentFile

from competitions.models import Pair
from evaluation.assignment import Picture
from evaluation.models import EvaluationRun, Output

log = logging.getLogger(__name__)


def store_pictures(
    run: EvaluationRun, pairs: Sequence[Pair], pictures: Sequence[Picture], *, attempt: int = 0
) -> list[Output]:
    """Write the files of some pairs, outside of any transaction: it takes long.

    The rows are the caller's to create. If writing fails, what was written is removed.
    ``attempt`` tells apart what several attempts at the same pairs of a run write.
    """
    outputs = []
    for pair, picture in zip(pairs, pictures, strict=True):
        name = f"{run.pk}-{pair.position}" + (f"-{attempt}" if attempt else "")
        outputs.append(
            Output(
                run=run,
                pair=pair,
                file=ContentFile(picture.png, name=f"{name}.png"),
                thumbnail=ContentFile(picture.webp, name=f"{name}.webp"),
            )
        )
    try:
        for output in outputs:
            for stored_file in (output.file, output.thumbnail):
                stored_file.save(str(stored_file.name), stored_file.file, save=False)
    except BaseException:
        discard_pictures(outputs)
        raise
    return outputs


def discard_pictures(outputs: Sequence[Output]) -> None:
    """Remove pictures that no row refers to; those that were not written yet are no trouble."""
    try:
        for output in outputs:
            for file, field in (
                (output.file, Output.file.field),
                (output.thumbnail, Output.thumbnail.field),
            ):
                name = str(file.name)
                if "/" not in name:  # broke off half-way, and has not told its row its full name
                    name = field.generate_filename(output, name)
                file.storage.delete(name)
    except OSError:
        log.warning("could not remove pictures that no row refers to", exc_info=True)
