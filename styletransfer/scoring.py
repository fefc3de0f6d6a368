"""Score the outputs of submissions against a phase's references."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from styletransfer.calibration import calibrate
from styletransfer.determinism import arithmetic
from styletransfer.devices import choose_batch, open_device
from styletransfer.errors import ShapeMismatch, TooFewSamples
from styletransfer.merging import put_together
from styletransfer.output_meter import OutputMeter
from styletransfer.perceptual_values import PerceptualReferences, recall_lpips_features
from styletransfer.pinned import (
    open_discriminator,
    open_inception,
    open_lpips,
    open_vgg,
    require_pin,
)
from styletransfer.prepared import Prepared
from styletransfer.provenance import Origin, seed_of
from styletransfer.recipe import Recipe
from styletransfer.references import (
    Progress,
    anchors_key,
    count_contents,
    count_up,
    count_used,
    recall_vgg_features,
    require_consistent,
)
from styletransfer.score_card import ScoreCard
from styletransfer.sensitivity import (
    Disturbed,
    Table,
    choose_sample,
    measure_disturbed,
    recall_anchors,
)
from styletransfer.set_values import SetReferences, preparations_of, recall_set_references
from styletransfer.shard import ShardResult
from styletransfer.values import ExtractorPin, Image, ReferenceImages

__all__ = ["Scorer", "calibrate", "seed_of"]


class Scorer:
    """Scores submissions to one phase; built once, used for many.

    Extractors whose weights are not the pinned ones are refused. Threads are the caller's to set
    (``determinism.make_deterministic``): equal numbers of them give equal bits.
    """

    def __init__(
        self,
        recipe: Recipe,
        references: ReferenceImages,
        extractors: Mapping[str, ExtractorPin],
        discriminator: bytes | None = None,
        cache_dir: Path | None = None,
        weights_dir: Path | None = None,
        recipe_sha256: str | None = None,
        device: str = "cpu",
    ) -> None:
        """Take what scoring needs; of ``extractors``, by role, those of ``recipe.extractors``.

        ``recipe_sha256`` names the whole recipe where ``recipe`` is the part of it that can be
        measured here: seeds and cards then agree with those of the whole. ``device`` is a name
        as ``devices.open_device`` takes it.

        Raises:
            ShapeMismatch: the references contradict themselves.
            WeightsMismatch: the discriminator is not the one that the recipe names, or no network
                is pinned for a role.
            DeviceUnavailable: there is no such device here.
        """
        require_consistent(references)
        self._recipe, self._references = recipe, references
        self._recipe_sha256 = recipe_sha256 or recipe.sha256()
        self._pins = {role: require_pin(extractors, role) for role in recipe.extractors}
        self._cache_dir, self._weights_dir = cache_dir, weights_dir
        self._device = open_device(device)
        self._discriminator = open_discriminator(discriminator, recipe, self._device)
        self._prepared: Prepared | None = None
        self._anchors: dict[tuple[int, ...], tuple[Table, Table]] = {}

    def prepare(self, on_progress: Progress | None = None) -> Prepared:
        """Load the networks; compute the references' features, or take them from the cache.

        Does nothing where that was done before with the same number of threads.

        Raises:
            WeightsUnavailable, WeightsMismatch: the pinned extractors are not to be had.
            DegenerateAnchor: a pair gives nothing to measure relative scores by.
        """
        known = self._prepared
        if known is not None and known.arithmetic == arithmetic(self._device):
            return known
        started = time.perf_counter()
        recipe, references = self._recipe, self._references
        reals = len(references.reals) * len(preparations_of(recipe))
        seen = count_contents(references) if "lpips" in recipe.needs else 0
        advance = count_up(count_used(references) + reals + seen, on_progress)
        vgg = open_vgg(self._pins["vgg"], recipe, self._weights_dir, self._device)
        features = recall_vgg_features(
            recipe, references, vgg, self._pins["vgg"], self._cache_dir, advance
        )
        if any(key.endswith("_relative") for key in recipe.measured):
            features.require_anchors()
        sets = self._prepare_sets(advance) if "inception" in recipe.needs else None
        height, width = references.contents[0].shape[:2]
        self._anchors.clear()
        self._prepared = Prepared(
            recipe=recipe,
            references=references,
            vgg=vgg,
            features=features,
            sets=sets,
            perceptual=self._prepare_lpips(advance) if "lpips" in recipe.needs else None,
            discriminator=self._discriminator,
            device=self._device,
            batch=choose_batch(self._device, height * width),
            seconds=time.perf_counter() - started,
            arithmetic=arithmetic(self._device),
        )
        return self._prepared

    def begin(self, pairs: range | None = None) -> OutputMeter:
        """Start to measure the outputs of some successive pairs, or all, as they come.

        Of a range, begin it at a multiple of ``devices.LARGEST_BATCH`` where equal bits matter on a
        GPU.

        Raises:
            WeightsUnavailable, WeightsMismatch, DegenerateAnchor: as ``prepare``.
        """
        prepared = self.prepare()
        return OutputMeter(prepared, self._all if pairs is None else pairs)

    def put_together(self, shards: Sequence[ShardResult], *, checkpoint_sha256: str) -> ScoreCard:
        """Return the score card of what was measured of all pairs, in one piece or many.

        Raises:
            InvalidShard: the shards are not all pairs of the phase, each once.
            NonFiniteInput: a value is NaN or infinite; there is no score then.
            TooFewSamples: FID of fewer than two images.
        """
        prepared = self.prepare()
        seed = self.seed(checkpoint_sha256)
        origin = Origin(
            self._recipe,
            self._recipe_sha256,
            self._references,
            self._pins,
            self._weights_dir,
            prepared.arithmetic,
            prepared.batch,
        )
        provenance = origin.describe(checkpoint_sha256, seed)
        return put_together(prepared, shards, seed=seed, provenance=provenance)

    def score(
        self,
        outputs: Sequence[Image],
        *,
        checkpoint_sha256: str,
        on_pair: Progress | None = None,
    ) -> ScoreCard:
        """Measure one output per pair, in the order of the pairs.

        Raises:
            ShapeMismatch: not one output per pair, or one of another size.
            NonFiniteInput: a value is NaN or infinite; there is no score then.
            TooFewSamples: FID of fewer than two images.
        """
        pairs = len(self._all)
        if len(outputs) != pairs:
            raise ShapeMismatch(f"expected {pairs} outputs, one per pair, got {len(outputs)}")
        meter = self.begin()
        for number, output in enumerate(outputs, start=1):
            meter.take(output)
            if on_pair is not None:
                on_pair(number, pairs)
        return self.put_together([meter.finish()], checkpoint_sha256=checkpoint_sha256)

    def disturb(
        self,
        scored: Callable[[int], Image],
        pairs: range | None = None,
        on_step: Progress | None = None,
    ) -> Disturbed | None:
        """Measure how much worse some outputs, of these pairs, get by changes that nobody sees.

        ``scored`` returns the output of a pair. What the phase's own images suffer is measured
        with the first submission and kept. None where no pair of these is in the sample.
        """
        prepared = self.prepare()
        # No checkpoint's seed: every submission is disturbed on the same pairs.
        sample = choose_sample(len(self._all), self.seed(""))
        chosen = tuple(number for number in sample if pairs is None or number in pairs)
        if not chosen:
            return None
        if chosen not in self._anchors:
            self._anchors[chosen] = self._recall_anchors(prepared, chosen)
        return measure_disturbed(prepared, chosen, self._anchors[chosen], scored, on_step)

    def _recall_anchors(self, prepared: Prepared, chosen: tuple[int, ...]) -> tuple[Table, Table]:
        pins = {role: pin.sha256 for role, pin in self._pins.items()}
        key = anchors_key(self._recipe, self._references, pins, chosen, self._device)
        return recall_anchors(prepared, chosen, self._cache_dir, key)

    @property
    def _all(self) -> range:
        return range(len(self._references.pairs))

    def seed(self, checkpoint_sha256: str) -> int:
        """Return the seed of all that is drawn for a checkpoint: intervals, samples of pairs."""
        return seed_of(checkpoint_sha256, self._recipe_sha256, self._references.sha256)

    def _prepare_sets(self, advance: Callable[[], None]) -> SetReferences:
        if len(self._references.reals) < 2 or len(self._references.pairs) < 2:
            raise TooFewSamples("a distance of sets needs at least 2 real images and 2 pairs")
        return recall_set_references(
            self._recipe,
            self._references,
            open_inception(self._pins["inception"], self._weights_dir, self._device),
            self._pins["inception"],
            self._cache_dir,
            advance,
        )

    def _prepare_lpips(self, advance: Callable[[], None]) -> PerceptualReferences:
        pin = self._pins["lpips"]
        network = open_lpips(pin, self._weights_dir, self._device)
        return recall_lpips_features(self._references, network, pin, self._cache_dir, advance)
