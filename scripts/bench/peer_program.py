"""Run another tool's FID as a whole program, on weights that lie here: ``TOOL WEIGHTS ARGUMENTS``.

pytorch-fid gets its own command line; the others are called as their documentation shows.
"""

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import torch

from scripts.bench import peers
from styletransfer.torchvision_compat import import_torchvision


def run_pytorch_fid(weights: Path, arguments: list[str]) -> None:
    """Run ``python -m pytorch_fid ARGUMENTS``."""
    import_torchvision()
    from pytorch_fid import fid_score

    sys.argv = ["pytorch_fid", *arguments]
    with peers.hub(weights):
        fid_score.main()


def run_torch_fidelity(weights: Path, arguments: list[str]) -> None:
    """Compare two folders."""
    import_torchvision()
    import torch_fidelity

    found = torch_fidelity.calculate_metrics(
        input1=arguments[0],
        input2=arguments[1],
        cuda=False,
        fid=True,
        cache=False,
        verbose=False,
        feature_extractor_weights_path=str(peers.published_file(weights)),
    )
    print("FID: ", found["frechet_inception_distance"])


def run_torchmetrics(weights: Path, arguments: list[str]) -> None:
    """Compare two folders; reading them is the user's own affair, here Pillow's."""
    import numpy as np
    from PIL import Image

    fid = peers.open_torchmetrics_fid(weights)
    with torch.no_grad():
        for folder, is_real in ((arguments[0], False), (arguments[1], True)):
            files = sorted(Path(folder).iterdir())
            for start in range(0, len(files), 64):
                images = [np.asarray(Image.open(file)) for file in files[start : start + 64]]
                batch = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous()
                fid.update(batch, real=is_real)
        print("FID: ", float(fid.compute()))


def run_clean_fid(weights: Path, arguments: list[str]) -> None:
    """Compare two folders."""
    network = peers.open_clean_fid(weights)
    from cleanfid import fid

    found = fid.compare_folders(
        *arguments[:2],
        feat_model=network,
        mode="clean",
        num_workers=0,
        batch_size=32,
        device=torch.device("cpu"),
        verbose=False,
    )
    print("FID: ", found)


TOOLS: Mapping[str, Callable[[Path, list[str]], None]] = {
    "pytorch-fid": run_pytorch_fid,
    "torch-fidelity": run_torch_fidelity,
    "torchmetrics": run_torchmetrics,
    "clean-fid": run_clean_fid,
}


def main() -> None:
    """Run the tool that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tool", choices=list(TOOLS))
    parser.add_argument("weights", type=Path)
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    TOOLS[chosen.tool](chosen.weights, chosen.arguments)


if __name__ == "__main__":
    main()
