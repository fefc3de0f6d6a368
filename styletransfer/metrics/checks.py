"""Refuse inputs that have no score, before or after the arithmetic."""

from torch import Tensor

from styletransfer.errors import MetricInputError, NonFiniteInput, ShapeMismatch


def require_maps(name: str, features: Tensor) -> None:
    """Refuse anything but a non-empty floating-point ``(N, C, H, W)``."""
    if features.ndim != 4 or features.numel() == 0:
        raise ShapeMismatch(f"{name}: expected (N, C, H, W), got {tuple(features.shape)}")
    if not features.is_floating_point():
        raise MetricInputError(f"{name}: expected floating-point features, got {features.dtype}")


def require_finite(name: str, values: Tensor) -> Tensor:
    """Return ``values``, or refuse NaN and infinity."""
    if not bool(values.detach().isfinite().all()):
        raise NonFiniteInput(f"{name}: NaN or infinity in what went in or came out")
    return values


def require_same_batch(outputs: Tensor, others: Tensor) -> None:
    """Refuse a second batch that is neither as long as the first nor a single one to repeat."""
    if others.shape[0] not in (1, outputs.shape[0]):
        raise ShapeMismatch(
            f"expected {outputs.shape[0]} images to compare with, or 1, got {others.shape[0]}"
        )
