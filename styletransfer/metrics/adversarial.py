"""Least-squares adversarial losses on maps of patch scores."""

from torch import Tensor

from styletransfer.metrics.checks import Maps, require_finite, require_maps


def _mean_square_to(name: str, scores: Maps, target: float) -> Tensor:
    taken = require_maps(name, scores)
    return require_finite(name, (taken.double() - target).square().mean(dim=(1, 2, 3)))


def generator_loss(d_fake: Maps) -> Tensor:
    """Measure ``(D(output) - 1)**2``, mean over patches, per image. Differentiable.

    Args:
        d_fake: ``(N, 1, h, w)`` patch scores of the outputs.

    Returns:
        ``(N,)`` float64, 0 where the discriminator takes every patch for real; lower is better.

    Raises:
        ShapeMismatch: scores are not 4-D.
        NonFiniteInput: NaN or infinity went in or came out.

    Reference:
        Mao et al. Least Squares Generative Adversarial Networks. ICCV 2017. Without its factor
        1/2, as in the CycleGAN of Zhu et al., ICCV 2017.
    """
    return _mean_square_to("d_fake", d_fake, 1)


def discriminator_loss(d_real: Maps, d_fake: Maps, *, real_target: float = 1) -> Tensor:
    """Measure ``E[(D(real) - 1)**2] + E[D(output)**2]``. Differentiable; trains D only.

    Args:
        d_real: ``(n, 1, h, w)`` patch scores of real images.
        d_fake: patch scores of outputs; their number and size may differ.
        real_target: what real images are to be judged; below 1 to smooth labels in training.

    Returns:
        a scalar, float64: means over patches, then over images.

    Raises:
        ShapeMismatch: scores are not 4-D.
        NonFiniteInput: NaN or infinity went in or came out.
    """
    real = _mean_square_to("d_real", d_real, real_target).mean()
    return real + _mean_square_to("d_fake", d_fake, 0).mean()
