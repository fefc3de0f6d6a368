"""The network of LPIPS as data: AlexNet's convolutions and the weights of its layers; no torch.

Names are those of the published weights: torchvision's for AlexNet, the package's for the rest.
"""

from styletransfer.inception_layout import Conv

CONVOLUTIONS = {
    "features.0": Conv(3, 64, (11, 11), 4, (2, 2)),
    "features.3": Conv(64, 192, (5, 5), 1, (2, 2)),
    "features.6": Conv(192, 384, (3, 3), 1, (1, 1)),
    "features.8": Conv(384, 256, (3, 3), 1, (1, 1)),
    "features.10": Conv(256, 256, (3, 3), 1, (1, 1)),
}
"""Each is followed by a ReLU, whose maps are one layer of LPIPS."""

POOLED = frozenset({"features.3", "features.6"})
"""Which of them pool their input by maximum, 3 x 3, every second position."""

LINS = {
    f"lin{number}.model.1.weight": conv.outputs for number, conv in enumerate(CONVOLUTIONS.values())
}
"""By layer, the weights of the channels and how many there are."""
