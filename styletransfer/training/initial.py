"""Where training starts: weights that follow from a seed."""

import numpy as np
import torch
from torch import nn


def initialise(network: nn.Module, seed: int) -> None:
    """Fill a network with convolutions of unit gain, neutral normalisations and no biases.

    The draws are NumPy's: torch's own differ between CPU capabilities.
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if parameter.ndim == 4:
                draws = rng.standard_normal(parameter.shape) / np.sqrt(parameter[0].numel())
                parameter.copy_(torch.from_numpy(draws.astype(np.float32)))
            else:
                parameter.fill_(1.0 if name.endswith("weight") else 0.0)
