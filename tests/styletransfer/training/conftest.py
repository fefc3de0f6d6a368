from collections.abc import Iterator

import pytest
import torch

from styletransfer.surrogates import VGG
from styletransfer.vgg import Vgg19
from styletransfer.weights import load_vgg


@pytest.fixture(scope="session")
def vgg() -> Vgg19:
    network, _ = load_vgg(VGG, deepest="relu2_1")
    return network


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads, mode = torch.get_num_threads(), torch.get_deterministic_debug_mode()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    torch.set_deterministic_debug_mode(mode)
