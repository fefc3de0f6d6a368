"""``stylize``: pictures of any size and kind, folders and videos."""

import hashlib
import io
from pathlib import Path

import av
import numpy as np
import pytest
import safetensors.torch
import torch
from PIL import Image as Pillow
from PIL import ImageCms

from styletransfer.checkpoint import load_generator
from styletransfer.commands.main import UNUSABLE, main
from styletransfer.generators import build
from styletransfer.images import encode_png, open_own_picture
from styletransfer.inference import Generator, Pixels, stylise, to_pixels
from styletransfer.manifest import Manifest
from styletransfer.onnx_writing import write_onnx
from styletransfer.painting import Painter
from styletransfer.proposing import propose
from styletransfer.sample_pair import make_content, make_style
from styletransfer.steady_network import SteadyNetwork
from styletransfer.videos import open_video
from tests.styletransfer.test_export import WIDTH, make_weights


@pytest.fixture(name="home")
def make_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("transformer_net", "adain"):
        safetensors.torch.save_file(make_weights(name, WIDTH), f"{name}.safetensors")
    torch.save(make_weights("transformer_net", WIDTH), "transformer_net.pth")
    Path("photos").mkdir()
    Path("photos/wide.png").write_bytes(encode_png(make_content(90)[:51]))
    Path("photos/tiny.png").write_bytes(encode_png(make_content(9)[:3, :5]))
    Path("style.png").write_bytes(encode_png(make_style(70)))
    return tmp_path


def load(name: str) -> Generator:
    data = Path(name).read_bytes()
    return load_generator(data, propose(data).manifest)


def paint(*arguments: str, generator: str = "transformer_net.safetensors") -> int:
    return main(["stylize", *arguments, "--generator", generator])


def read(path: str) -> Pixels:
    return open_own_picture(Path(path).read_bytes())


@pytest.mark.usefixtures("home")
def test_a_folder_is_painted_as_the_platform_would() -> None:
    assert paint("photos", "--out", "painted") == 0
    generator = load("transformer_net.safetensors")
    wide = to_pixels(stylise(generator, read("photos/wide.png")))
    assert np.array_equal(read("painted/wide.png"), wide)
    assert read("painted/tiny.png").shape == (3, 5, 3)
    assert paint("photos", "--out", "again", generator="transformer_net.pth") == 0
    assert np.array_equal(read("again/wide.png"), wide)


@pytest.mark.usefixtures("home")
def test_a_generator_of_two_inputs_takes_the_style_it_is_given() -> None:
    options = ("photos/wide.png", "--style", "style.png", "--out")
    assert paint(*options, "one.png", generator="adain.safetensors") == 0
    expected = stylise(load("adain.safetensors"), read("photos/wide.png"), read("style.png"))
    assert np.array_equal(read("one.png"), to_pixels(expected))


@pytest.mark.parametrize(("name", "size"), [("transformer_net", (333, 410)), ("adain", (150, 401))])
def test_tiles_leave_no_seams(name: str, size: tuple[int, int], home: Path) -> None:
    """Painted with the same statistics but at once, no pixel differs by more than rounding."""
    del home
    generator = load(f"{name}.safetensors")
    multiple = generator.size_multiple
    content, style = make_content(410)[: size[0], : size[1]], make_style(64)
    painter = Painter(generator, tile=256, overlap=160 if name == "transformer_net" else 128)
    assert painter.needs_tiles(content)
    tiled = next(painter.paint([content], style))
    more = [max(-side % multiple, 256 - side) for side in size]
    padded = np.pad(content, ((0, more[0]), (0, more[1]), (0, 0)), mode="reflect")
    steady, small_style = painter._steady(padded, style)
    at_once = to_pixels(stylise(steady, padded, small_style))[: size[0], : size[1]]
    assert tiled.std() > 1
    assert np.abs(tiled.astype(int) - at_once).max() <= 1


def test_a_steady_network_is_the_network_itself_for_the_picture_it_looked_at() -> None:
    network = build("transformer_net", WIDTH)
    network.load_state_dict(make_weights("transformer_net", WIDTH))
    steady = SteadyNetwork(network)
    image = 255 * torch.rand(1, 3, 64, 48, generator=torch.Generator().manual_seed(0))
    steady.look_at(image)
    with torch.inference_mode():
        assert torch.allclose(steady(image), network(image), rtol=1e-4, atol=1e-2)
        other = image.flip(2) / 2
        assert not torch.allclose(steady(other), network(other), atol=1)


@pytest.mark.usefixtures("home")
def test_a_graph_of_one_size_paints_smaller_and_larger_pictures(
    capsys: pytest.CaptureFixture[str],
) -> None:
    weights = {k: v.numpy() for k, v in make_weights("transformer_net", WIDTH).items()}
    architecture = build("transformer_net", WIDTH).architecture
    data = write_onnx(architecture, WIDTH, weights, names=("content",), size=(64, 96))
    Path("fixed.onnx").write_bytes(data)
    Path("large.png").write_bytes(encode_png(make_content(150)))
    assert paint("photos/tiny.png", "large.png", "--out", "out", generator="fixed.onnx") == 0
    assert "light of their own" in capsys.readouterr().err
    assert read("out/tiny.png").shape == (3, 5, 3)
    assert read("out/large.png").shape == (150, 150, 3)


@pytest.mark.usefixtures("home")
def test_batches_paint_what_single_pictures_paint() -> None:
    generator = load("transformer_net.safetensors")
    contents = [make_content(64 + number)[:64, :64] for number in range(5)] + [make_content(40)]
    single = list(Painter(generator).paint(contents))
    together = list(Painter(generator, batch=3).paint(contents))
    assert [each.shape for each in together] == [each.shape for each in contents]
    for one, other in zip(single, together, strict=True):
        assert np.abs(one.astype(int) - other).max() <= 1


def test_pictures_are_upright_and_in_the_colours_they_were_seen_in() -> None:
    lying = Pillow.fromarray(make_content(60)[:40])
    buffer = io.BytesIO()
    exif = Pillow.Exif()
    exif[0x0112] = 6
    lying.save(buffer, "JPEG", exif=exif)
    assert open_own_picture(buffer.getvalue()).shape == (60, 40, 3)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    for saved in (profile, b"damaged"):  # neither is of RGB: shown as if there were none
        buffer = io.BytesIO()
        lying.save(buffer, "WEBP", lossless=True, icc_profile=saved)
        assert np.array_equal(open_own_picture(buffer.getvalue()), np.array(lying))


def make_video(path: Path, *, size: tuple[int, int], frames: int) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=24)
        stream.height, stream.width, stream.pix_fmt = *size, "yuv444p"
        for number in range(frames):
            pixels = np.roll(make_content(max(size))[: size[0], : size[1]], 3 * number, axis=1)
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


@pytest.mark.parametrize("size", [(48, 64), (45, 63)])
def test_a_video_becomes_a_video_as_long_and_the_same_each_time(
    size: tuple[int, int], home: Path
) -> None:
    make_video(home / "clip.mp4", size=size, frames=7)
    hashes = set()
    for name, batch in (("one.mp4", "1"), ("other.mkv", "1"), ("again.mp4", "1")):
        assert paint("clip.mp4", "--out", name, "--batch", batch) == 0
        if name.endswith("mp4"):
            hashes.add(hashlib.sha256(Path(name).read_bytes()).hexdigest())
    assert len(hashes) == 1
    with open_video(Path("clip.mp4")) as given, open_video(Path("one.mp4")) as painted:
        before, after = list(given.read()), list(painted.read())
        assert painted.size == size
        assert given.stream.average_rate == painted.stream.average_rate
    assert [time for time, _ in before] == [time for time, _ in after]
    assert paint("clip.mp4", "--out", "frames") == 0
    assert len(list(Path("frames").iterdir())) == 7
    near = np.abs(after[3][1].astype(int) - read("frames/000004.png"))
    assert near.mean() < 12  # of 255: what H.264 leaves of it
    assert [each.name for each in Path().glob(".*")] == []


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["photos/none.png", "--out", "a.png"], "there is no such file"),
        (["empty", "--out", "a.png"], "holds no picture"),
        (["photos", "--out", "a.png"], "name a folder"),
        (["photos/wide.png", "--out", "a.jpg"], "end its name with .png"),
        (["photos/wide.png", "--out", "style.png"], "--force"),
        (["photos", "--out", "photos"], "would replace the picture it is made of"),
        (["photos", "other/wide.jpg", "--out", "out"], "would both become"),
        (["clip.mp4", "photos", "--out", "out"], "is a video: give it alone"),
        (["clip.mp4", "--out", "out.gif"], "videos are written as"),
        (["clip.mp4", "--out", "out.mp4"], "can't be read as a video"),
        (["photos/wide.png", "--out", "a.png", "--tile", "128"], "tiles of 128 pixels"),
        (["photos/wide.png", "--out", "a.png", "--style", "none.png"], "there is no such file"),
        (["photos/wide.png", "--out", "a.png", "--device", "tpu"], "no device"),
        (["photos/wide.png", "--out", "a.png", "--generator", "adain.safetensors"], "--style"),
        (["photos/wide.png", "--out", "a.png", "--generator", "style.png"], "not a checkpoint"),
        (["photos/wide.png", "--out", "a.png", "--manifest", "style.png"], "not a manifest"),
    ],
)
def test_what_cannot_be_painted_is_said_before_anything_is_written(
    arguments: list[str], told: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder in ("empty", "other"):
        (home / folder).mkdir()
    (home / "other" / "wide.jpg").write_bytes(b"any")
    (home / "clip.mp4").write_bytes(b"no video")
    before = {path: path.read_bytes() for path in home.rglob("*") if path.is_file()}
    given = () if "--generator" in arguments else ("--generator", "transformer_net.safetensors")
    assert main(["stylize", *arguments, *given]) == UNUSABLE
    assert told in capsys.readouterr().err
    assert before == {path: path.read_bytes() for path in home.rglob("*") if path.is_file()}


def test_one_bad_picture_does_not_keep_the_others_from_being_painted(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "photos" / "bad.png").write_bytes(encode_png(make_content(60))[:200])
    assert paint("photos", "--out", "painted") == UNUSABLE
    told = capsys.readouterr().err
    assert "bad.png can't be read as a picture" in told
    assert "the other 2 are painted" in told
    assert sorted(path.name for path in Path("painted").iterdir()) == ["tiny.png", "wide.png"]


def test_a_manifest_beside_a_file_is_taken(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    del home
    proposed = propose(Path("transformer_net.safetensors").read_bytes()).manifest
    told = Manifest.model_validate(proposed.model_dump() | {"channel_order": "BGR"})
    Path("transformer_net.safetensors.manifest.json").write_text(told.model_dump_json())
    assert paint("photos/wide.png", "--out", "a.png") == 0
    assert "transformer_net.safetensors.manifest.json describes" in capsys.readouterr().err
    generator = load_generator(Path("transformer_net.safetensors").read_bytes(), told)
    expected = to_pixels(stylise(generator, read("photos/wide.png")))
    assert np.array_equal(read("a.png"), expected)
