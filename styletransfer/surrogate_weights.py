"""How the stand-ins' weights are made: the same bits everywhere.

Raw 64-bit words of NumPy's PCG64 (whose stream is fixed for good, unlike its distributions')
become integers below 2**24 by integer arithmetic, and those times 2**-24 are float32 numbers
without rounding. Free of torch.
"""

import hashlib
import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from styletransfer import inception_layout, lpips_layout
from styletransfer.recipe import VGG19_LAYERS
from styletransfer.surrogates import INCEPTION, LPIPS, VGG

Weights = dict[str, NDArray[np.float32]]

_FRACTION_BITS = 24
_WIDTHS = (64, 128, 256, 512, 512)


def make_weights(name: str) -> Weights:
    """Make a surrogate's weights under the names of the published ones."""
    return {VGG: _make_vgg, INCEPTION: _make_inception, LPIPS: _make_lpips}[name]()


def hash_weights(weights: Mapping[str, NDArray[np.float32]]) -> str:
    """Hash the little-endian float32 bytes in the order of the keys."""
    digest = hashlib.sha256()
    for key in sorted(weights):
        digest.update(np.ascontiguousarray(weights[key], dtype="<f4").data)
    return digest.hexdigest()


def _make_vgg() -> Weights:
    weights: Weights = {}
    inputs, position = 3, 0
    for name in VGG19_LAYERS:
        block, index = int(name[4]), int(name[6])
        outputs = _WIDTHS[block - 1]
        position += block > 1 and index == 1  # a pooling layer takes a number as well
        key = f"features.{position}"
        first = name == VGG19_LAYERS[0]
        weights[f"{key}.weight"] = _make_filters(
            key,
            (outputs, inputs, 3, 3),
            power=(3, 2) if first else (5, 2),
            is_first=first,
        )
        weights[f"{key}.bias"] = np.zeros(outputs, dtype=np.float32)
        inputs, position = outputs, position + 2
    return weights


def _make_inception() -> Weights:
    weights: Weights = {}
    for key, conv in inception_layout.CONVOLUTIONS.items():
        weights[f"{key}.conv.weight"] = _make_filters(
            key,
            (conv.outputs, conv.inputs, *conv.kernel),
            power=(27, 10),
            is_first=conv.inputs == 3,
        )
        # Fixed statistics that leave the filters' responses as they are.
        for statistic, value in (("weight", 1), ("bias", 0), ("running_mean", 0)):
            weights[f"{key}.bn.{statistic}"] = np.full(conv.outputs, value, dtype=np.float32)
        weights[f"{key}.bn.running_var"] = np.ones(conv.outputs, dtype=np.float32)
    return weights


def _make_lpips() -> Weights:
    weights: Weights = {}
    for key, conv in lpips_layout.CONVOLUTIONS.items():
        weights[f"{key}.weight"] = _make_filters(
            f"alexnet.{key}",
            (conv.outputs, conv.inputs, *conv.kernel),
            power=(5, 2),
            is_first=conv.inputs == 3,
        )
        weights[f"{key}.bias"] = np.zeros(conv.outputs, dtype=np.float32)
    for key, channels in lpips_layout.LINS.items():
        # All channels alike: the distance of the published weights' order of magnitude.
        weights[key] = np.full((1, channels, 1, 1), 0.125, dtype=np.float32)
    return weights


def _make_filters(
    key: str, shape: tuple[int, int, int, int], *, power: tuple[int, int], is_first: bool
) -> NDArray[np.float32]:
    """Draw uniform filters of variance ``power / fan_in``.

    Past the first layer every filter loses half of its mean. After ReLU all maps are positive, so
    random filters mostly see that common offset, and deep features of different images become
    nearly equal; without any mean they would change beyond recognition with every bit of noise.
    """
    outputs, fan_in = shape[0], math.prod(shape[1:])
    seed = np.random.SeedSequence(list(hashlib.sha256(key.encode()).digest()))
    words = np.random.PCG64(seed).random_raw(outputs * fan_in)
    variance_bits = 2 * _FRACTION_BITS
    bound = math.isqrt((3 * power[0] << variance_bits) // (power[1] * fan_in))
    draws = ((words >> np.uint64(32)) * np.uint64(2 * bound + 1)) >> np.uint64(32)
    integers = draws.astype(np.int64).reshape(outputs, fan_in) - bound
    if not is_first:
        integers -= integers.sum(axis=1, keepdims=True) // (2 * fan_in)
    # At most 24 bits: the conversion and the power of two are exact.
    return (integers.astype(np.float32) * np.float32(2.0**-_FRACTION_BITS)).reshape(shape)
