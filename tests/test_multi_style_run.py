"""Networks of many styles through the real command line: training, choice of a style, export, a new painting."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from numpy.typing import NDArray
from PIL import Image

import experiments as darkroom
from experiments.cli.main import main
from experiments.cli.usage import UsageError
from experiments.networks.pack import main as pack
from tests.helpers.style_words import LOSS, QUIET, TASK
from tests.helpers.tiny_images import noise, save, save_images

pytestmark = pytest.mark.filterwarnings(r"ignore:\s*.*(deprecated in v4|JsonargparseDeprecationWarning)")
DATA = [
    "--data.root=images", "--data.style_size=48", "--data.val_size=40", "--data.cache_dir=cache",
    "--data.num_workers=0", "--data.crops=1",
]  # fmt: skip
NET = ["--model.net.width=4", "--model.net.blocks=1"]
FIT = [*TASK, *DATA, *NET, *LOSS, *QUIET]
BODY = "{name: rows, size: 32, batch_size: 4, epochs: 1, lr: 0.01, frozen: body}"
ALL = "{name: all, size: 32, batch_size: 4, epochs: 1, lr: 0.01}"
RUN = Path("runs/style/several/checkpoints/last.ckpt")


@pytest.fixture(scope="module", autouse=True)
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a run of three styles."""
    folder = tmp_path_factory.mktemp("styles")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("DARKROOM_RUN_FOLDER", "")
        save_images(folder / "images", 12, 60, 70)
        for seed, name in enumerate(("starry", "wave", "scream")):
            save(folder / "paintings" / f"{name}.png", noise(50 + seed, 80, 100) // (1 + seed))
        save(folder / "new.png", noise(60, 80, 100))
        save(folder / "image.png", noise(1, 37, 51))
        words = ["--recipe=many", "--name=several", "--data.style_image=paintings", f"--stages=[{ALL}]"]
        assert main([*FIT, *words]) == 0
        yield folder


def weights(path: Path) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = torch.load(path, weights_only=True)["state_dict"]
    return state


def predicted(out: str, *words: str) -> NDArray[np.uint8]:
    assert main([*TASK, "predict", "image.png", "--name=several", f"--out={out}", *words]) == 0
    return np.asarray(Image.open(f"{out}/result/image.png"))


def test_checkpoint_names_the_styles_and_has_a_row_for_each(trained: Path) -> None:
    content = torch.load(RUN, weights_only=True)
    assert content["darkroom"]["styles"] == ["scream", "starry", "wave"]
    assert content["state_dict"]["net.down.0.1.weight"].shape == (3, 4)
    assert content["state_dict"]["loss.gram_4"].shape[0] == 3


def test_style_and_blend_are_chosen_by_name(trained: Path) -> None:
    one, other = predicted("one", "--style=starry"), predicted("other", "--style=wave")
    blend = predicted("blend", "--style=starry:0.7,wave:0.3")
    assert all((a.astype(int) != b).any() for a, b in ((one, other), (one, blend), (other, blend)))
    np.testing.assert_array_equal(predicted("same", "--style=starry:3"), one)
    net = darkroom.load(RUN, style={"starry": 0.7, "wave": 0.3})
    np.testing.assert_array_equal(np.asarray(net("image.png")), blend)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], r"has 3 styles: choose one with --style scream, .*There are: scream, starry, wave"),
        (["--style=stary"], "unknown style 'stary': did you mean 'starry'"),
        (["--style=starry:1,wave:-1"], "must have a sum above 0, not 0"),
        (["--style=starry:much"], "write NAME, or a blend"),
    ],
)
def test_unusable_styles_are_refused(
    trained: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*TASK, "predict", "image.png", "--name=several", *words]) == 2
    error = capsys.readouterr().err
    with pytest.raises(UsageError, match=message):
        raise UsageError(error)


def test_export_keeps_all_styles_or_fixes_one(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [*TASK, "export", "--name=several"]
    assert main([*words, "--format=safetensors", "--out=all"]) == 0
    assert main([*words, "--format=safetensors", "--out=one/one", "--style=wave"]) == 0
    expected = np.asarray(darkroom.load(RUN, style="wave")("image.png"))
    np.testing.assert_array_equal(np.asarray(darkroom.load("all.safetensors", style="wave")("image.png")), expected)
    np.testing.assert_array_equal(np.asarray(darkroom.load("one/one.safetensors")("image.png")), expected)
    full = "--trainer.precision=32-true"  # as darkroom.load has it; the run's own is bf16 where the CPU has it
    assert main([*TASK, "predict", "image.png", "--ckpt_path=one/one.safetensors", "--out=exported", full]) == 0
    np.testing.assert_array_equal(np.asarray(Image.open("exported/result/image.png")), expected)
    assert main([*words, "--format=torch", "--out=none"]) == 2
    assert "choose one with --style" in capsys.readouterr().err


def test_nets_lists_the_styles_of_a_network(
    trained: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DARKROOM_NETWORKS", "own")
    Path("styles.yaml").write_text("[{name: wave, title: The Great Wave, painter: Hokusai, year: 1831, license: CC0}]")
    words = ["--name=three", "--summary=three styles", "--data=noise", "--license=MIT", "--trained=none", "--time=0 s"]
    assert pack([str(RUN), *words, "--out=own", "--styles=styles.yaml"]) == 0
    assert "--task style predict --net three --style wave IMAGES" in capsys.readouterr().out
    assert main(["nets"]) == 0
    printed = capsys.readouterr().out
    assert "style    wave: The Great Wave, Hokusai, 1831 (license: CC0)" in printed
    assert "predict --net three --style wave IMAGES" in printed
    assert main([*TASK, "predict", "image.png", "--net=three", "--style=wave", "--out=shipped"]) == 0
    shipped, expected = np.asarray(Image.open("shipped/result/image.png")), predicted("wave", "--style=wave")
    assert np.abs(shipped.astype(int) - expected).max() <= 2  # float16
    Path("styles.yaml").write_text("name: wave")
    assert pack([str(RUN), *words, "--out=own", "--styles=styles.yaml", "--overwrite"]) == 2


def test_new_painting_keeps_the_body_in_the_first_stage(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--recipe=new-painting", f"--init_from={RUN}", "--data.style_image=[new.png, paintings/wave.png]"]
    assert main([*FIT, *words, "--name=new", f"--stages=[{BODY}, {ALL}]"]) == 0
    printed = capsys.readouterr().out
    assert "styles of the file: wave" in printed
    assert "new styles, from the mean of the file's: new" in printed
    before = weights(RUN)
    first, last = (weights(Path(f"runs/style/new/checkpoints/stage-{number}.ckpt")) for number in (1, 2))
    body = [name for name in before if name.startswith("net.") and before[name].ndim == 4]
    assert len(body) == 8
    assert all(torch.equal(first[name], before[name]) for name in body)
    assert not any(torch.equal(last[name], before[name]) for name in body)
    assert first["net.down.0.1.weight"].shape == (2, 4)
    assert not torch.equal(first["net.down.0.1.weight"][1], before["net.down.0.1.weight"][2])
    # a list of images is saved as a list, and a resumed run finds them
    saved = yaml.safe_load(Path("runs/style/new/config.yaml").read_text())
    assert saved["data"]["init_args"]["style_image"] == ["new.png", "paintings/wave.png"]
    assert main([*TASK, "--resume=runs/style/new", f"--stages=[{BODY}, {ALL}, {ALL}]"]) == 0


def test_plain_network_is_refused_for_several_paintings(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*FIT, "--recipe=painting", "--data.style_image=paintings", f"--stages=[{ALL}]"]) == 2
    assert "StyleResnet learns one style, not 3" in capsys.readouterr().err


def test_gatys_paints_one_of_the_styles(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [*TASK, "gatys", f"--ckpt_path={RUN}", "--content=image.png", "--iterations=2", "--size=40"]
    for style in ("starry", "wave"):
        assert main([*words, f"--style={style}", f"--out={style}.png"]) == 0
    assert (np.asarray(Image.open("starry.png")) != np.asarray(Image.open("wave.png"))).any()
    assert main(words) == 2
    assert "choose one with --style. There are: scream, starry, wave" in capsys.readouterr().err
