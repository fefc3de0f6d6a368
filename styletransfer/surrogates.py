"""Stand-ins for pretrained weights where those can't be had: the demo and the tests only.

Random filters, made by ``surrogate_weights``; here are their names and hashes, free of NumPy.
"""

from collections.abc import Mapping
from types import MappingProxyType

from styletransfer.values import ExtractorPin

VGG = "vgg19-surrogate-1"
INCEPTION = "inception-surrogate-1"
LPIPS = "lpips-surrogate-1"

BY_ROLE: Mapping[str, str] = MappingProxyType({"vgg": VGG, "inception": INCEPTION, "lpips": LPIPS})
"""The stand-in of each role."""

# Of the float32 bytes in key order, as `hash_weights` takes it. Weights made otherwise need a
# new name: phases pin these.
PINS: Mapping[str, ExtractorPin] = MappingProxyType(
    {
        VGG: ExtractorPin(VGG, "a753db973e3d3395ba0bd92058a8a65dcc6872485ca33b81baf7b61afdf0aafd"),
        INCEPTION: ExtractorPin(
            INCEPTION, "f106e70cc385be9ee335400e65adf2220f296c083daee71591d68bb8edf0ca11"
        ),
        LPIPS: ExtractorPin(
            LPIPS, "38c3a84f452434c2de1ac0d1c28639b1a887e11ac1fd1fcab25242db4a85040f"
        ),
    }
)
