import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from styletransfer.commands.main import main
from styletransfer.discriminator import PatchGan, load_discriminator, save_discriminator
from styletransfer.discriminator_file import require_discriminator
from styletransfer.errors import MetricInputError, WeightsMismatch
from styletransfer.images import encode_png
from styletransfer.manifest import Manifest
from styletransfer.recipe import Recipe
from styletransfer.training.config import InvalidTraining, TrainingConfig
from styletransfer.training.features import open_features
from styletransfer.training.judging import area_under_curve, examine
from styletransfer.training.pictures import Cut, FilePictures, Held, Several
from tests.tiny_training import TINY, draw_paintings, draw_photos, write_folders

CPU = torch.device("cpu")
FLAGS = [
    *("--parameters", "width=2", "--features", TINY.features, "--content-layer", "relu2_1"),
    *("--style-layers", "relu1_1,relu2_1", "--size", "32", "--photo-size", "32"),
    *("--steps", "4", "--copying-steps", "2", "--device", "cpu"),
]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return write_folders(tmp_path_factory.mktemp("pictures"))


def test_what_train_writes_can_be_scored_as_it_is(
    tmp_path: Path, folders: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    settings = tmp_path / "settings.toml"
    settings.write_text(f'contents = "{folders["contents"]}"\nsteps = 9\nbeta = 2.0\n')
    command = ["train", "--config", str(settings), "--styles", folders["styles"]]
    assert main([*command, "--out", str(out), *FLAGS]) == 0
    printed = capsys.readouterr()
    assert "step 6/6 content" in printed.err
    assert str(out) in printed.out
    used = json.loads((out / "training.json").read_text())
    assert (used["steps"], used["beta"]) == (4, 2.0)  # flags count more than the file
    assert sorted(path.name for path in (out / "samples").iterdir()) == ["000000.png", "000006.png"]
    manifest = Manifest.model_validate_json((out / "manifest.json").read_bytes())
    assert manifest.architecture == "transformer_net"
    scored = ["score", "--generator", str(out / "generator.safetensors"), "--vgg", TINY.features]
    scored += ["--manifest", str(out / "manifest.json"), "--content", folders["contents"]]
    scored += ["--style", folders["reals"], "--out", str(tmp_path / "card.json")]
    assert main(scored) == 0
    assert json.loads((tmp_path / "card.json").read_text())["scores"]["style"]["value"] > 0


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--steps", "0"], "steps has to be more than 0"),
        (["--size", "30"], "multiple of 4"),
        (["--styles", "nowhere"], "nowhere is neither a folder nor a picture"),
        (["--styles", "{reals}"], "holds 6 pictures: name one of them, or --mode collection"),
        (["--mode", "arbitrary"], "arbitrary needs two"),
        (["--parameters", "depth=3"], "no parameter 'depth'"),
        (["--resume"], "nothing to resume"),
        (["--start", "{styles}"], "does not fit transformer_net"),
    ],
)
def test_what_can_t_be_meant_is_said_in_one_sentence(
    tmp_path: Path,
    folders: dict[str, str],
    capsys: pytest.CaptureFixture[str],
    flags: list[str],
    told: str,
) -> None:
    given = ["train", "--contents", folders["contents"], "--styles", folders["styles"]]
    given += ["--out", str(tmp_path), *FLAGS, *(flag.format(**folders) for flag in flags)]
    assert main(given) == 2
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(
    "values",
    [{"nope": 1}, {"steps": True}, {"alpha": float("nan")}, {"ema": 1.0}, {"photo_share": 1.5},
     {"batch": 3, "accumulate": 2}, {"style_weights": [1.0]}, {"precision": "int8"}],
)  # fmt: skip
def test_a_configuration_that_contradicts_itself_is_refused(values: dict[str, object]) -> None:
    with pytest.raises(InvalidTraining):
        TrainingConfig.from_mapping(values)


def test_a_configuration_survives_json() -> None:
    plain = json.loads(json.dumps(TINY.to_json()))
    assert TrainingConfig.from_mapping(plain) == TINY


def test_a_discriminator_is_trained_and_examined_on_what_was_held_out(
    tmp_path: Path, folders: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "judge.safetensors"
    made = tmp_path / "made"
    made.mkdir()
    for number in range(5):
        (made / f"{number}.png").write_bytes(
            encode_png(np.full((40, 32, 3), 40 * number, np.uint8))
        )
    command = ["train-discriminator", "--reals", folders["reals"], "--contents"]
    command += [folders["contents"], "--outputs", str(made), "--size", "32", "--steps", "60"]
    assert main([*command, "--ndf", "4", "--rate", "0.005", "--out", str(out)]) == 0
    report = json.loads((tmp_path / "judge.json").read_text())
    assert report["auc"] == 1.0
    assert report["brier"] < 0.25
    assert (report["reals"], report["others"]) == (2, 3)  # two photographs and one made
    assert "AUC 1.0000" in capsys.readouterr().out
    require_discriminator(out.read_bytes())
    assert load_discriminator(out.read_bytes()).ndf == 4


def test_the_outputs_of_a_generator_are_learned_from(
    tmp_path: Path, folders: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["train", "--contents", folders["contents"], "--styles", folders["styles"]]
    assert main([*command, "--out", str(tmp_path), *FLAGS]) == 0
    given = ["train-discriminator", "--reals", folders["reals"], "--contents"]
    given += [folders["contents"], "--no-photographs", "--size", "32", "--steps", "2"]
    out = str(tmp_path / "judge.safetensors")
    assert main([*given, "--out", out]) == 2
    assert "name a --generator or --outputs" in capsys.readouterr().err
    generator = str(tmp_path / "generator.safetensors")
    assert main([*given, "--norm", "spectral", "--generator", generator, "--out", out]) == 0
    assert load_discriminator(Path(out).read_bytes()).norm == "spectral"


def test_an_examination_says_how_far_scores_are_from_shares() -> None:
    class Constant(PatchGan):
        def forward(self, images: Tensor) -> Tensor:
            return images.mean(dim=(1, 2, 3), keepdim=True)

    def grey(*levels: float) -> list[Tensor]:
        return [torch.full((1, 3, 4, 4), level) for level in levels]

    quality = examine(Constant(1, 1), grey(0.75, 0.75), grey(0.75, 0.25, 0.25, 0.25))
    assert quality.auc == pytest.approx(0.875)
    assert [weight for *_, weight in quality.bins] == pytest.approx([0.375, 0.625])
    assert [share for _, share, _ in quality.bins] == pytest.approx([0, 0.8])
    assert quality.calibration_error == pytest.approx(0.375 * 0.25 + 0.625 * 0.05)
    assert quality.brier == pytest.approx((0.5 + 0.375) * 0.0625 + 0.125 * 0.5625)


def test_the_area_under_the_curve_counts_pairs_in_the_right_order() -> None:
    assert area_under_curve(np.array([2.0, 3.0]), np.array([0.0, 1.0])) == 1.0
    assert area_under_curve(np.array([0.0, 2.0]), np.array([1.0, 2.0])) == 0.375


def test_a_spectral_discriminator_s_file_scores_as_the_network_did() -> None:
    torch.manual_seed(0)
    network = PatchGan(4, 2, "spectral")
    network.limit_weights()
    for _ in range(30):
        network(draw_photos())
    network.eval()
    data = save_discriminator(network)
    require_discriminator(data)
    read = load_discriminator(data)
    with torch.no_grad():
        torch.testing.assert_close(read(draw_photos()), network(draw_photos()))
    for name, weight in read.state_dict().items():
        if name.endswith("weight"):
            assert float(torch.linalg.matrix_norm(weight.flatten(1), 2)) < 1.05
    with pytest.raises(WeightsMismatch):
        require_discriminator(data.replace(b"spectral", b"spektral"))


class FiveMaps(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = torch.nn.Conv2d(3, 4, 3, padding=1)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        maps = torch.relu(self.first(images))
        return maps, torch.nn.functional.max_pool2d(maps, 2)


def test_any_torchscript_file_of_maps_is_a_feature_network(tmp_path: Path) -> None:
    path = tmp_path / "features.pt"
    torch.jit.script(FiveMaps()).save(str(path))  # type: ignore[no-untyped-call]
    recipe = Recipe(content_layer="relu2_1", style_layers=("relu1_1",), style_weights=(1.0,))
    network = open_features(str(path), recipe, CPU)
    images = draw_photos().requires_grad_(True)
    maps = network.features(images, ["relu2_1"])
    assert maps["relu2_1"].shape == (6, 4, 16, 16)
    maps["relu2_1"].sum().backward()  # type: ignore[no-untyped-call]
    assert images.grad is not None
    deeper = Recipe(content_layer="relu4_2", style_layers=("relu1_1",), style_weights=(1.0,))
    with pytest.raises(MetricInputError, match="has no layer relu4_2; it has relu1_1, relu2_1"):
        open_features(str(path), deeper, CPU)
    path.write_bytes(b"nothing")
    with pytest.raises(WeightsMismatch, match="is not a TorchScript file"):
        open_features(str(path), recipe, CPU)


def test_pictures_of_any_size_are_cut_at_places_that_seeds_decide(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    files = []
    for number, shape in enumerate([(20, 90), (64, 48)]):
        files.append(tmp_path / f"{number}.png")
        files[-1].write_bytes(encode_png(rng.integers(0, 256, (*shape, 3), dtype=np.uint8)))
    cut = Cut(32, zoom=0.5, is_random=True, seed=(1,))
    for cache_bytes in (0, 1 << 20):
        pictures = FilePictures(files, cut, cache_bytes=cache_bytes)
        first = pictures.take([0, 1], [(0, 0), (0, 1)])
        assert first.shape == (2, 3, 32, 32)
        assert torch.equal(first, pictures.take([0, 1], [(0, 0), (0, 1)]))
        assert not torch.equal(first, pictures.take([0, 1], [(1, 0), (1, 1)]))
    central = FilePictures(files, Cut(32))
    assert central.is_fixed
    assert torch.equal(central.take([0], [(0, 0)]), central.take([0], [(5, 1)]))
    (tmp_path / "2.png").write_bytes(b"nothing")
    with pytest.raises(InvalidTraining, match=r"2\.png can't be used"):
        FilePictures([tmp_path / "2.png"], cut).take([0], [(0, 0)])


def test_kinds_of_pictures_come_as_often_however_many_they_are() -> None:
    some = Several([Held(draw_photos()), Held(draw_paintings()[:2])])
    assert len(some) == 12
    taken = some.take(range(12), [(0, 0)] * 12)
    assert torch.equal(taken[0::2], draw_photos())
    assert torch.equal(taken[1::2], draw_paintings()[:2].repeat(3, 1, 1, 1))
