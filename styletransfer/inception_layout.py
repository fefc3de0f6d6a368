"""The convolutions of the FID Inception network, as data; free of torch.

Names are those of the published weights (torchvision's). Input channels, output channels, kernel
(height, width), stride, padding (height, width).
"""

from typing import NamedTuple


class Conv(NamedTuple):
    """One convolution, followed by batch normalisation and ReLU."""

    inputs: int
    outputs: int
    kernel: tuple[int, int] = (1, 1)
    stride: int = 1
    padding: tuple[int, int] = (0, 0)


def _square(inputs: int, outputs: int, size: int, *, stride: int = 1, padding: int = 0) -> Conv:
    return Conv(inputs, outputs, (size, size), stride, (padding, padding))


def _row(inputs: int, outputs: int, length: int) -> Conv:
    return Conv(inputs, outputs, (1, length), 1, (0, length // 2))


def _column(inputs: int, outputs: int, length: int) -> Conv:
    return Conv(inputs, outputs, (length, 1), 1, (length // 2, 0))


def _block_a(inputs: int, pool: int) -> dict[str, Conv]:
    return {
        "branch1x1": Conv(inputs, 64),
        "branch5x5_1": Conv(inputs, 48),
        "branch5x5_2": _square(48, 64, 5, padding=2),
        "branch3x3dbl_1": Conv(inputs, 64),
        "branch3x3dbl_2": _square(64, 96, 3, padding=1),
        "branch3x3dbl_3": _square(96, 96, 3, padding=1),
        "branch_pool": Conv(inputs, pool),
    }


def _block_c(inner: int) -> dict[str, Conv]:
    return {
        "branch1x1": Conv(768, 192),
        "branch7x7_1": Conv(768, inner),
        "branch7x7_2": _row(inner, inner, 7),
        "branch7x7_3": _column(inner, 192, 7),
        "branch7x7dbl_1": Conv(768, inner),
        "branch7x7dbl_2": _column(inner, inner, 7),
        "branch7x7dbl_3": _row(inner, inner, 7),
        "branch7x7dbl_4": _column(inner, inner, 7),
        "branch7x7dbl_5": _row(inner, 192, 7),
        "branch_pool": Conv(768, 192),
    }


def _block_e(inputs: int) -> dict[str, Conv]:
    return {
        "branch1x1": Conv(inputs, 320),
        "branch3x3_1": Conv(inputs, 384),
        "branch3x3_2a": _row(384, 384, 3),
        "branch3x3_2b": _column(384, 384, 3),
        "branch3x3dbl_1": Conv(inputs, 448),
        "branch3x3dbl_2": _square(448, 384, 3, padding=1),
        "branch3x3dbl_3a": _row(384, 384, 3),
        "branch3x3dbl_3b": _column(384, 384, 3),
        "branch_pool": Conv(inputs, 192),
    }


STEM: dict[str, Conv] = {
    "Conv2d_1a_3x3": _square(3, 32, 3, stride=2),
    "Conv2d_2a_3x3": _square(32, 32, 3),
    "Conv2d_2b_3x3": _square(32, 64, 3, padding=1),
    "Conv2d_3b_1x1": Conv(64, 80),
    "Conv2d_4a_3x3": _square(80, 192, 3),
}

BLOCKS: dict[str, dict[str, Conv]] = {
    "Mixed_5b": _block_a(192, 32),
    "Mixed_5c": _block_a(256, 64),
    "Mixed_5d": _block_a(288, 64),
    "Mixed_6a": {
        "branch3x3": _square(288, 384, 3, stride=2),
        "branch3x3dbl_1": Conv(288, 64),
        "branch3x3dbl_2": _square(64, 96, 3, padding=1),
        "branch3x3dbl_3": _square(96, 96, 3, stride=2),
    },
    "Mixed_6b": _block_c(128),
    "Mixed_6c": _block_c(160),
    "Mixed_6d": _block_c(160),
    "Mixed_6e": _block_c(192),
    "Mixed_7a": {
        "branch3x3_1": Conv(768, 192),
        "branch3x3_2": _square(192, 320, 3, stride=2),
        "branch7x7x3_1": Conv(768, 192),
        "branch7x7x3_2": _row(192, 192, 7),
        "branch7x7x3_3": _column(192, 192, 7),
        "branch7x7x3_4": _square(192, 192, 3, stride=2),
    },
    "Mixed_7b": _block_e(1280),
    "Mixed_7c": _block_e(2048),
}

CONVOLUTIONS: dict[str, Conv] = STEM | {
    f"{block}.{branch}": conv for block, convs in BLOCKS.items() for branch, conv in convs.items()
}
