"""`info`: what is in a file or a run, or what is wrong with it."""

import subprocess
import sys
from pathlib import Path

import pytest
from small_features import circles, features_of, finetune_config, pretrain_config, with_value

from vidrep.errors import FeatureFileError, InputError
from vidrep.features.parts_folder import mark
from vidrep.features.store import open_features
from vidrep.inference.info import info
from vidrep.training.finetune import finetune
from vidrep.training.pretrain import train


def test_features_are_described(tmp_path: Path) -> None:
    videos = circles()
    videos["left/00.npy"] = videos["left/00.npy"][:3]
    features = features_of(tmp_path, videos, {"left/00.npy": "test"})
    description = info(features.path)
    assert description["what"] == "features"
    assert (description["videos"], description["frames"], description["frames a video"]) == (10, 75, "3 to 8")
    assert description["frame"] == "4 float32"
    assert description["labels"] == "left 5, right 5"
    assert description["splits"] == "(none) 9, test 1"
    assert (description["crops"], description["groups"]) == ("none", "none")
    assert description["settings.kind"] == "import"
    assert "checksums" not in description


def test_checksums_are_compared_when_asked(tmp_path: Path) -> None:
    features = features_of(tmp_path, circles())
    assert info(features.path, verify=True)["checksums"] == "all agree"
    with_value(features, "right/01.npy", 2, 0.5)
    assert info(features.path)["videos"] == 10
    with pytest.raises(FeatureFileError, match=r"1 videos do not have their checksum any more: right/01.npy"):
        info(features.path, verify=True)


def test_a_flipped_bit_is_named_with_its_video_and_part(tmp_path: Path) -> None:
    for number, name in enumerate(("left", "right")):
        features = features_of(tmp_path / name, circles(2, classes=(name,), seed=number))
        (tmp_path / "parts").mkdir(exist_ok=True)
        mark(tmp_path / "parts")
        features.path.rename(tmp_path / "parts" / f"part-{number:06d}.h5")
    parts = open_features(tmp_path / "parts")
    assert info(parts.path, verify=True)["checksums"] == "all agree"
    part = tmp_path / "parts" / "part-000001.h5"
    content = bytearray(part.read_bytes())
    content[content.index(parts.rows(parts.index("right/01.npy")).tobytes()) + 5] ^= 0x40
    part.write_bytes(content)
    message = (
        r"parts: 1 videos do not have their checksum any more: right/01.npy \(part-000001.h5\); extract them again"
    )
    with pytest.raises(FeatureFileError, match=message):
        info(parts.path, verify=True)


def test_of_an_ensemble_the_first_model_is_described(tmp_path: Path) -> None:
    features = features_of(tmp_path, circles())
    run = finetune(features, tmp_path / "run", finetune_config(ensemble=2), device="cpu").folder
    description = info(run)
    assert (description["models"], description["predictor"]) == (2, "LSTM")
    assert description["last validation"] == info(run / "members" / "1")["last validation"]
    (run / "ensemble.json").unlink()
    with pytest.raises(InputError, match=r"run: its training is not finished; the same command with --resume goes on"):
        info(run)


def test_runs_are_described(tmp_path: Path) -> None:
    features = features_of(tmp_path, circles())
    pretrained = train(features, tmp_path / "pretrained", pretrain_config(), device="cpu").folder
    description = info(pretrained)
    assert description["what"] == "a run: a pretraining"
    assert (description["encoder.hidden_size"], description["cell.lstm.peepholes"]) == (5, False)
    assert (
        description["objective.reconstruction"]
        == description["objective.future"]
        == "weight 1.0, conditional False, attention False"
    )
    assert (description["windows.context"], description["windows.num_future"]) == (3, 2)
    assert (description["likelihood"], description["transforms"]) == ("gaussian", "standardize")
    assert description["last validation"].startswith("step 10, loss ")
    assert description["train videos"] == "8: left 4, right 4"
    assert (description["validation videos"], description["seed"]) == ("2: left 1, right 1", 0)
    assert description["features"] == f"{features.path}, hash {info(features.path)['hash']}"
    assert (description["command"], "by vidrep" in description["started"]) == ("none: called in Python", True)
    assert "encoder.num_layers 2" in description["not default"]
    assert "training.seed" not in description["not default"]
    run = finetune(features, tmp_path / "run", finetune_config(), device="cpu").folder
    description = info(run)
    assert description["what"] == "a run: a classifier"
    assert description["classes (training videos)"] == "left 3, right 3"
    assert (description["head.name"], description["head.settings"]) == ("every_step", "no settings")
    with pytest.raises(InputError, match="checksums are in feature files"):
        info(run, verify=True)
    (run / "videos.csv").unlink()
    assert "train videos" not in info(run)


def test_a_run_that_is_not_finished_is_described_as_far_as_it_is(tmp_path: Path) -> None:
    features = features_of(tmp_path, circles())
    run = train(features, tmp_path / "run", pretrain_config(), device="cpu").folder
    (run / "metrics.jsonl").write_text('{"step": 5, "validation": {"loss": 1.5}}\n{"step": 1', encoding="utf-8")
    assert info(run)["last validation"] == "step 5, loss 1.5"
    (run / "metrics.jsonl").write_text("", encoding="utf-8")
    assert "last validation" not in info(run)
    (run / "metrics.jsonl").write_text("odd\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"metrics.jsonl: not the metrics of a run"):
        info(run)
    (run / "model.json").unlink()
    with pytest.raises(InputError, match=r"no model.json in it, so no run has come as far as a first model"):
        info(run)


def test_anything_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.h5").write_text("text", encoding="utf-8")
    (tmp_path / "empty").mkdir()
    messages = {
        "none": "no such file",
        "text.h5": "not a readable feature file",
        "empty": "a folder, and none of parts",
    }
    for name, message in messages.items():
        with pytest.raises(FeatureFileError, match=message):
            info(tmp_path / name)


def test_the_hash_of_features_is_of_their_values_whatever_their_names(tmp_path: Path) -> None:
    videos = circles(2)
    plain = info(features_of(tmp_path / "plain", videos).path)["hash"]
    renamed = {f"other/{key[-6:]}.{number}.npy": frames for number, (key, frames) in enumerate(videos.items())}
    assert info(features_of(tmp_path / "renamed", renamed).path)["hash"] == plain
    videos["left/00.npy"][3, 2] += 1e-3
    assert info(features_of(tmp_path / "changed", videos).path)["hash"] != plain


def test_runs_are_listed_beside_each_other_with_what_differs(tmp_path: Path) -> None:
    features = features_of(tmp_path, circles())
    train(features, tmp_path / "runs" / "b", pretrain_config(), device="cpu")
    train(features, tmp_path / "runs" / "deep" / "a", pretrain_config(seed=3, patience=0), device="cpu")
    finetune(features, tmp_path / "runs" / "two", finetune_config(ensemble=2), device="cpu")
    (tmp_path / "runs" / "two" / "ensemble.json").unlink()
    description = info(tmp_path / "runs")
    assert description["what"] == "3 runs"
    runs = description["runs"]
    assert list(runs) == ["b", "deep/a", "two"]
    assert (runs["b"]["what"], runs["b"]["train videos"], runs["b"]["steps"]) == ("a pretraining", "8", "10 of 10")
    assert (runs["b"]["seed"], runs["deep/a"]["seed"]) == ("0", "3")
    assert (runs["b"]["training.patience"], runs["deep/a"]["training.patience"]) == ("default", "0")
    assert "optimizer.warmup_steps" not in runs["b"]  # all have the same
    assert runs["two"]["what"].endswith("its training is not finished; the same command with --resume goes on")
    with pytest.raises(InputError, match="runs: runs; checksums are in feature files"):
        info(tmp_path / "runs", verify=True)


def test_what_is_asked_often_imports_no_torch(tmp_path: Path) -> None:
    features = features_of(tmp_path, circles())
    run = finetune(features, tmp_path / "run", finetune_config(), device="cpu").folder
    code = "import sys; from vidrep.inference.info import info; print(len(info(sys.argv[1])), 'torch' in sys.modules)"
    for path in (features.path, run):
        done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, timeout=60)
        assert done.stdout.endswith(" False\n"), done.stderr
