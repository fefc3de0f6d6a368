"""The command line as somebody runs it at home, in a process of its own."""

import csv
import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
import torch

from evaluation.demo.baselines import identity_baseline
from styletransfer.card_schema import read_schema
from styletransfer.commands.main import main
from styletransfer.comparison import NotComparable, compare_cards
from styletransfer.discriminator import PatchGan, save_discriminator
from styletransfer.errors import InvalidScoreCard
from styletransfer.folders import Folder, hash_pairs_of, read_references
from styletransfer.images import decode_png, encode_png, pixels_sha256
from styletransfer.metric_specs import METRICS
from styletransfer.pretrained import VGG as OFFICIAL_VGG
from styletransfer.recipe import Recipe
from styletransfer.score_card import ScoreCard
from styletransfer.scoring import Scorer, seed_of
from styletransfer.second_pass import choose_order
from styletransfer.surrogates import INCEPTION, PINS, VGG
from styletransfer.values import Image, ReferenceImages, hash_references, sha256_of

ROOT = Path(__file__).resolve().parents[2]
SIDE = 48
NAMED = ("checkpoint", "recipe", "references")
SURROGATES = ("--vgg", VGG, "--inception", INCEPTION)


def make_image(seed: int) -> Image:
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, 256, (SIDE // 8, SIDE // 8, 3))
    return np.kron(blocks, np.ones((8, 8, 1), dtype=np.int64)).astype(np.uint8)


@pytest.fixture(name="home", scope="module")
def make_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Lay out what a participant has: pictures, a table of pairs, a generator, a recipe."""
    tmp_path = tmp_path_factory.mktemp("home")
    for folder, seeds in (("contents", (0, 1, 2)), ("styles", (10, 11)), ("reals", (20, 21, 22))):
        (tmp_path / folder).mkdir()
        for number, seed in enumerate(seeds):
            (tmp_path / folder / f"{number:04d}.png").write_bytes(encode_png(make_image(seed)))
    with (tmp_path / "pairs.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["position", "content", "style"])
        for number, (content, style) in enumerate([(0, 1), (1, 0), (2, 1), (0, 0)]):
            table.writerow([number, f"contents/{content:04d}.png", f"styles/{style:04d}.png"])
    baseline = identity_baseline()
    (tmp_path / "generator.onnx").write_bytes(baseline.checkpoint)
    (tmp_path / "manifest.json").write_text(json.dumps(baseline.manifest))
    torch.manual_seed(0)
    (tmp_path / "judge.safetensors").write_bytes(save_discriminator(PatchGan(ndf=4, n_layers=2)))
    (tmp_path / "list.json").write_text("[1]")
    other = {"recipe": {}, "reference_set": {"sha256": "0" * 64, "pairs_sha256": "0" * 64}}
    (tmp_path / "other-phase.json").write_text(json.dumps(other))
    for folder in ("unequal", "broken"):
        (tmp_path / folder).mkdir()
    (tmp_path / "unequal" / "0.png").write_bytes(encode_png(make_image(1)))
    (tmp_path / "unequal" / "1.png").write_bytes(encode_png(make_image(1)[:40]))
    (tmp_path / "broken" / "0.png").write_bytes(b"no picture")
    (tmp_path / "recipe.json").write_text(json.dumps(make_recipe(tmp_path).to_json()))
    return tmp_path


@pytest.fixture(name="whole", scope="module")
def score_everything(home: Path) -> dict[str, Any]:
    """Score at home with all files there are."""
    everything = ("--real", home / "reals", "--discriminator", home / "judge.safetensors")
    return score(home, "--recipe", home / "recipe.json", *everything)


def make_recipe(home: Path) -> Recipe:
    sha256 = hashlib.sha256((home / "judge.safetensors").read_bytes()).hexdigest()
    return Recipe(alpha=1e-4, beta=2.0, gamma=0.5, discriminator_sha256=sha256)


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "styletransfer", *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def score(home: Path, *options: object, out: str = "card.json") -> dict[str, Any]:
    done = run(
        *("score", "--generator", home / "generator.onnx", "--manifest", home / "manifest.json"),
        *("--content", home / "contents", "--style", home / "styles"),
        *("--pairs", home / "pairs.csv", "--out", home / out, *SURROGATES, *options),
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads((home / out).read_text())
    return found


def read(home: Path, folder: str) -> list[Image]:
    return [decode_png(path.read_bytes()) for path in sorted((home / folder).iterdir())]


def read_home(home: Path) -> ReferenceImages:
    contents, styles = Folder.read(home / "contents"), Folder.read(home / "styles")
    return read_references(contents, styles, None, home / "pairs.csv")


def score_here(home: Path, outputs: list[Image], pairs: list[tuple[int, int]]) -> Any:
    images = {"content": "contents", "style": "styles", "real": "reals"}
    pictures = {role: read(home, folder) for role, folder in images.items()}
    references = ReferenceImages(
        contents=pictures["content"],
        styles=pictures["style"],
        reals=pictures["real"],
        pairs=pairs,
        sha256=hash_references(
            image_size=SIDE,
            pixel_hashes={
                role: [pixels_sha256(image) for image in some] for role, some in pictures.items()
            },
            pairs=pairs,
        ),
    )
    judge = (home / "judge.safetensors").read_bytes()
    scorer = Scorer(
        make_recipe(home), references, {"vgg": PINS[VGG], "inception": PINS[INCEPTION]}, judge
    )
    sha256 = hashlib.sha256((home / "generator.onnx").read_bytes()).hexdigest()
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return scorer.score(outputs, checkpoint_sha256=sha256).to_json()
    finally:
        torch.set_num_threads(before)


def test_a_card_made_at_home_holds_what_the_scorer_finds(home: Path, whole: dict[str, Any]) -> None:
    card = whole
    pairs = [(0, 1), (1, 0), (2, 1), (0, 0)]
    contents = read(home, "contents")
    # The generator returns its content image unchanged.
    here = score_here(home, [contents[content] for content, _ in pairs], pairs)
    assert card["scores"] == here["scores"]
    assert card["scores_sha256"] == here["scores_sha256"]
    assert card["per_pair"] == here["per_pair"]
    assert card["provenance"]["left_out"] == []
    assert card["measurements"]["parameters"] >= 0
    assert card["measurements"]["ms_per_image"] > 0
    assert card["measurements"]["peak_memory"] >= 0
    jsonschema.validate(card, json.loads(read_schema()))


def test_some_pairs_are_made_again_at_home_as_on_the_platform(whole: dict[str, Any]) -> None:
    second = whole["guards"]["second_pass"]
    seed = seed_of(*(whole["provenance"][f"{name}_sha256"] for name in NAMED))
    assert tuple(second["pairs"]) == choose_order(4, seed)
    assert (second["largest"], second["failure"]) == ([0, 0], None)
    assert [flag["code"] for flag in whole["flags"]] == []


def test_what_there_are_no_files_for_is_left_out_and_the_rest_stays_equal(
    home: Path, whole: dict[str, Any]
) -> None:
    # As a phase's page offers it: the reference set is named, its real images stay hidden.
    described = {
        "recipe": make_recipe(home).to_json(),
        "reference_set": {
            "sha256": whole["provenance"]["references_sha256"],
            "pairs_sha256": hash_pairs_of(read_home(home)),
        },
        "extractors": {
            role: {"name": PINS[name].name, "sha256": PINS[name].sha256}
            for role, name in (("vgg", VGG), ("inception", INCEPTION))
        },
    }
    (home / "phase.json").write_text(json.dumps(described))
    card = score(home, "--recipe", home / "phase.json", out="part.json")
    assert card["provenance"]["left_out"] == ["adversarial", "total", "fid_pytorch"]
    assert card["provenance"]["recipe_sha256"] == whole["provenance"]["recipe_sha256"]
    for key, estimate in card["scores"].items():
        assert estimate == whole["scores"][key]
    assert set(card["scores"]) | set(card["provenance"]["left_out"]) == set(whole["scores"])
    jsonschema.validate(card, json.loads(read_schema()))


def test_without_a_manifest_one_is_proposed_and_its_guesses_are_named(
    home: Path, whole: dict[str, Any]
) -> None:
    out = home / "proposed.json"
    options = ("--generator", home / "generator.onnx", "--out", out, "--pairs", home / "pairs.csv")
    folders = ("--content", home / "contents", "--style", home / "styles")
    done = run("score", *options, *folders, "--recipe", home / "recipe.json", *SURROGATES)
    assert done.returncode == 0, done.stderr
    card = json.loads(out.read_text())
    # The identity hands back what it gets, whatever the range is called.
    assert card["scores"]["content"] == whole["scores"]["content"]
    manifest = card["provenance"]["manifest"]
    assert manifest["inputs"] == [{"role": "content", "name": "content"}]
    lines = done.stderr.splitlines()
    assert lines[0].startswith("No manifest was given")
    assert json.loads(lines[1]) == manifest
    guessed = [line.split()[0] for line in lines if line.endswith("trained so.")]
    assert guessed == ["input_range", "output_range", "channel_order"]
    jsonschema.validate(card, json.loads(read_schema()))


Options = list[object]
UNUSABLE: list[tuple[str, Callable[[Path], Options], str]] = [
    ("score", lambda home: ["--style", home / "nowhere"], "nowhere is not a folder"),
    ("score", lambda home: ["--style", home], "holds no PNG"),
    ("score", lambda home: ["--style", home / "unequal"], "all pictures have to be of one size"),
    ("score", lambda home: ["--style", home / "broken"], "0.png can't be used (not a png)"),
    ("score", lambda home: ["--pairs", home / "recipe.json"], "needs the columns"),
    ("score", lambda home: ["--pairs", home / "none.csv"], "none.csv: No such file"),
    ("score", lambda home: ["--recipe", home / "pairs.csv"], "pairs.csv is not JSON"),
    ("score", lambda home: ["--recipe", home / "list.json"], "list.json is not a recipe"),
    ("score", lambda home: ["--recipe", home / "manifest.json"], "a recipe has no architecture"),
    (
        "score",
        lambda home: ["--recipe", home / "other-phase.json"],
        "not those of the phase that the recipe is of",
    ),
    ("score", lambda home: ["--manifest", home / "list.json"], "list.json is not a manifest"),
    ("score", lambda home: ["--generator", home / "pairs.csv"], "not a checkpoint"),
    ("score", lambda home: ["--generator", home / "none.onnx"], "none.onnx: No such file"),
    ("score", lambda home: ["--out", home / "no" / "card.json"], "no is not a folder"),
    ("score", lambda home: ["--out", home], "is a folder: name a file"),
    ("score", lambda _home: ["--out", "/proc/card.json"], "/proc/card.json can't be written"),
    ("score", lambda _home: ["--vgg", "vgg20"], "unknown feature network 'vgg20'"),
    ("score", lambda home: ["--vgg", OFFICIAL_VGG, "--weights", home], "vgg19-dcbb9e9d.pth is not"),
    ("compare", lambda home: [home / "none.json", home / "none.json"], "No such file"),
    ("compare", lambda home: [home / "list.json"] * 2, "list.json: not a score card"),
    ("compare", lambda home: [home / "pairs.csv"] * 2, "pairs.csv is not JSON"),
    ("compare", lambda home: [home / "generator.onnx"] * 2, "generator.onnx is not JSON"),
]


@pytest.mark.parametrize(("command", "options", "said"), UNUSABLE)
def test_what_can_not_be_used_is_named_in_one_line(
    home: Path,
    command: str,
    options: Callable[[Path], Options],
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments: Options = [command]
    if command == "score":
        arguments += ["--generator", home / "generator.onnx", "--out", home / "none.json"]
        arguments += ["--content", home / "contents", "--style", home / "styles", *SURROGATES]
    threads = torch.get_num_threads()
    try:
        code = main([str(each) for each in (*arguments, *options(home))])
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(False)
    told = capsys.readouterr().err.splitlines()
    assert code == 2
    assert said in told[-1]
    assert not [line for line in told if "Traceback" in line]
    assert not list(home.glob("*none.json*"))


@pytest.mark.parametrize("threads", ["0", "-1", "two", "1.5"])
def test_threads_are_whole_numbers(threads: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["score", f"--threads={threads}"])
    assert caught.value.code == 2
    assert "is not a whole number from 1 on" in capsys.readouterr().err


def test_an_interrupted_run_leaves_nothing_and_ends_as_shells_expect(home: Path) -> None:
    (home / "kept").mkdir()
    out = home / "kept" / "card.json"
    out.write_text("before")
    # Contents enough to be busy for minutes.
    (home / "many").mkdir()
    for number in range(600):
        picture = encode_png(make_image(1000 + number))  # none of them is a style image
        (home / "many" / f"{number:04d}.png").write_bytes(picture)
    command = ["score", "--generator", home / "generator.onnx", "--content", home / "many"]
    command += ["--style", home / "styles", "--out", out, *SURROGATES]
    process = subprocess.Popen(
        [sys.executable, "-m", "styletransfer", *map(str, command)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("left out"):  # everything is read, and measuring begins
            break
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 130, said
    assert "Traceback" not in said
    assert out.read_text() == "before"
    assert [each.name for each in out.parent.iterdir()] == ["card.json"]


def test_every_command_shows_examples(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("score", "compare", "fid", "schema"):
        with pytest.raises(SystemExit):
            main([command, "--help"])
        assert "\nexample" in capsys.readouterr().out


def test_cards_are_compared_pair_by_pair(home: Path, whole: dict[str, Any]) -> None:
    first = whole
    second = json.loads(json.dumps(first))
    # Twice the content loss; style moves to and fro, which shows nothing.
    second["per_pair"]["content"] = [value + 100 for value in first["per_pair"]["content"]]
    second["scores"]["content"]["value"] += 100
    second["scores_sha256"] = sha256_of(second["scores"])
    shifts = [1, -1, 1, -1]  # the mean stays
    second["per_pair"]["style"] = [
        value + shift for value, shift in zip(first["per_pair"]["style"], shifts, strict=True)
    ]
    (home / "other.json").write_text(json.dumps(second))
    done = run("compare", home / "card.json", home / "other.json", "--json")
    assert done.returncode == 0, done.stderr
    found = {each["key"]: each for each in json.loads(done.stdout)}
    assert found["content"]["better"] == "first"
    assert found["content"]["low"] == pytest.approx(100)
    assert found["style"]["better"] == "open"
    assert found["style"]["low"] < 0 < found["style"]["high"]
    table = run("compare", home / "card.json", home / "other.json").stdout
    assert "first is better" in table
    assert "no difference shown" in table


def test_a_card_that_was_changed_is_not_compared(home: Path, whole: dict[str, Any]) -> None:
    better = json.loads(json.dumps(whole))
    better["scores"]["style"]["value"] /= 2
    (home / "other.json").write_text(json.dumps(better))
    done = run("compare", home / "card.json", home / "other.json")
    assert done.returncode == 2
    assert "other.json: its scores are not those" in done.stderr
    # Nor can its values of pairs be changed alone.
    pairs = json.loads(json.dumps(whole))
    pairs["per_pair"]["style"][0] /= 2
    with pytest.raises(InvalidScoreCard, match="values of pairs are not those that style"):
        compare_cards(ScoreCard.from_json(whole), ScoreCard.from_json(pairs))


def test_distances_of_sets_are_compared_without_an_interval(
    home: Path, whole: dict[str, Any]
) -> None:
    card = ScoreCard.from_json(whole)
    (fid,) = [each for each in compare_cards(card, card) if each.key == "fid_pytorch"]
    assert (fid.value, fid.low, fid.high, fid.better) == (0, None, None, "open")
    table = run("compare", home / "card.json", home / "card.json").stdout
    (line,) = [line for line in table.splitlines() if line.startswith("fid_pytorch")]
    assert "none: it has no values of pairs" in line


def test_cards_of_other_networks_or_versions_are_not_compared(whole: dict[str, Any]) -> None:
    card = ScoreCard.from_json(whole)
    other = json.loads(json.dumps(whole))
    other["provenance"]["extractors"]["vgg"]["sha256"] = "0" * 64
    with pytest.raises(NotComparable, match="different networks for vgg"):
        compare_cards(card, ScoreCard.from_json(other))
    other = json.loads(json.dumps(whole))
    other["provenance"]["metrics"]["style"]["version"] = 9
    with pytest.raises(NotComparable, match="different versions of style"):
        compare_cards(card, ScoreCard.from_json(other))


def test_every_metric_says_how_it_is_computed(whole: dict[str, Any]) -> None:
    told = whole["provenance"]["metrics"]
    assert told.keys() == whole["scores"].keys()
    assert told["fid_pytorch"]["convention"] == "pytorch-fid 0.3.0 preprocessing"
    assert told["style"]["convention"] == (
        "squared distance of VGG-19 Gram matrices, gatys (Gatys et al. 2016)"
    )
    assert told["total"]["convention"] == "0.0001 content + 2 style + 0.5 adversarial"
    for spec in METRICS.values():
        text = spec.convention.format(recipe=Recipe())
        assert 0 < len(text) <= 80
    names = ("checkpoint_sha256", "recipe_sha256", "references_sha256")
    hashes = [whole["provenance"][name] for name in names]
    assert whole["provenance"]["seed"] == str(seed_of(*hashes))
    assert version("pytorch-fid") == "0.3.0"


def test_cards_of_the_first_version_are_read_and_compared_still(whole: dict[str, Any]) -> None:
    old = json.loads(json.dumps(whole))
    del old["$schema"], old["guards"]
    metrics = old["provenance"].pop("metrics")
    old["provenance"]["metric_versions"] = {key: each["version"] for key, each in metrics.items()}
    for extractor in old["provenance"]["extractors"].values():
        del extractor["files"]
    differences = compare_cards(ScoreCard.from_json(old), ScoreCard.from_json(whole))
    assert {each.value for each in differences} == {0}


def test_a_database_that_drops_decimals_changes_no_hash(whole: dict[str, Any]) -> None:
    shortened = json.loads(json.dumps(whole), parse_float=lambda text: float(text))
    for estimate in shortened["scores"].values():
        for name, number in estimate.items():
            if number is not None and number == int(number):
                estimate[name] = int(number)
    assert isinstance(shortened["scores"]["content"]["value"], int)
    assert ScoreCard.from_json(shortened).scores_sha256 == whole["scores_sha256"]


def test_cards_of_different_reference_sets_are_not_compared(
    home: Path, whole: dict[str, Any]
) -> None:
    first = json.loads(json.dumps(whole))
    first["provenance"]["references_sha256"] = "0" * 64
    (home / "other.json").write_text(json.dumps(first))
    done = run("compare", home / "card.json", home / "other.json")
    assert done.returncode == 2
    assert "different reference sets" in done.stderr
    done = run("compare", home / "card.json", home / "recipe.json")
    assert done.returncode == 2
    assert "not a score card" in done.stderr


def test_the_schema_refuses_what_is_no_card(whole: dict[str, Any]) -> None:
    schema = json.loads(read_schema())
    jsonschema.Draft202012Validator.check_schema(schema)
    assert json.loads(run("schema").stdout) == schema
    card = whole
    for broken in (
        {**card, "scores": {}},
        {**card, "scores_sha256": "x"},
        {key: value for key, value in card.items() if key != "$schema"},
        {**card, "provenance": {**card["provenance"], "seed": 1}},
        {**card, "extra": 1},
        {**card, "scores": {"content": {"value": "1", "low": None, "high": None}}},
        {key: value for key, value in card.items() if key != "provenance"},
    ):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(broken, schema)
