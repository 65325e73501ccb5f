"""The commands as a user meets them: help, results, one line and an exit code for what goes wrong."""

import json
import re
import struct
from pathlib import Path

import pytest
import torch
from running import one_line, vidrep

CLIPS = Path(__file__).parents[2] / "data" / "clips"
TINY = ["--set", "encoder.hidden_size=8", "--steps", "4", "--threads", "1"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with features, a pretraining and a classifier, all tiny."""
    folder = tmp_path_factory.mktemp("made")
    features = folder / "features.h5"
    code, stdout, stderr = vidrep(
        "extract", "patches", CLIPS, "-o", features, "--size", 8, "--labels", CLIPS / "labels.csv"
    )
    assert code == 0, stderr
    assert "32 videos, 640 frames" in stdout
    code, stdout, stderr = vidrep("train", features, "-o", folder / "pretrained", "--recipe", "demo-pretrain", *TINY)
    assert code == 0, stderr
    assert "mean frame" in stdout
    assert re.search(r"^The prediction of the future is .*repeating the last frame \(squared error ", stdout, re.M)
    assert re.search(r"parameters, (\d+) videos, \1 of them labeled; \d+\.\d % of the time waiting for data\n", stdout)
    code, _, stderr = vidrep(
        "finetune",
        features,
        "--from",
        folder / "pretrained",
        "-o",
        folder / "actions",
        "--recipe",
        "demo-finetune",
        *TINY,
    )
    assert code == 0, stderr
    return folder


def test_evaluate_prints_accuracies_with_baselines(made: Path) -> None:
    code, stdout, _ = vidrep("evaluate", made / "actions", made / "features.h5")
    assert code == 0
    names = ["LSTM, per video", "LSTM, per window", "majority class", "single frame", "mean feature", "ordered bins"]
    for name in [*names, "frozen encoder, ", "random encoder, ", "balanced", "LSTM better by", "95 % interval"]:
        assert name in stdout
    share, difference = r"\d\.\d{3}", r"[+-]\d\.\d{3}"
    cells = [share, f"{share} to {share}", share, difference, f"{difference} to {difference}"]
    assert re.search(f"^mean feature, per video +{' +'.join(cells)}$", stdout, re.M)
    code, stdout, _ = vidrep("evaluate", made / "actions", made / "features.h5", "--json")
    metrics = json.loads(stdout)
    assert metrics["num_videos"] == 8
    assert metrics["baselines"]["majority class"]["accuracy"] == pytest.approx(1 / 8)


def test_evaluate_shows_classes_and_mistakes_and_writes_them(made: Path, tmp_path: Path) -> None:
    run, features, errors = made / "actions", made / "features.h5", tmp_path / "errors.csv"
    code, stdout, stderr = vidrep("evaluate", run, features, "--errors", errors, "--predictions", tmp_path / "all.csv")
    assert code == 0, stderr
    assert re.search(r"^class +videos +precision +recall +F1 +most confused with$", stdout, re.M)
    assert re.search(r"^clockwise +1 +(\d\.\d{3}|-) ", stdout, re.M)
    assert re.search(r"^The LSTM is .*mean feature \([+-]\d\.\d{3}, .*single frame \(", stdout, re.M)
    assert len((tmp_path / "all.csv").read_text().splitlines()) == 9
    listed = [line.split(",")[0] for line in errors.read_text().splitlines()[1:]]
    for key in listed[:8]:
        assert re.search(rf"^clips/{key} ", stdout, re.M)
    confusion = json.loads(vidrep("evaluate", run, features, "--json")[1])["confusion"]
    assert (confusion["rows"], confusion["columns"], len(confusion["classes"])) == ("true", "predicted", 8)
    one_line(["evaluate", run, features, "--errors", CLIPS / "labels.csv"], 5, "labels.csv exists and is no table")
    one_line(["evaluate", made / "pretrained", features, "--errors", errors], 2, "are for classifiers")


def test_a_training_behind_transforms_without_an_inverse_prints_its_own_units(made: Path, tmp_path: Path) -> None:
    settings = ["--set", "likelihood=gaussian", "--set", 'transforms=["standardize", "center_clip"]']
    code, stdout, stderr = vidrep(
        "train", made / "features.h5", "-o", tmp_path / "run", "--recipe", "demo-pretrain", *TINY, *settings
    )
    assert code == 0, stderr
    assert re.search(r"^future, squared error/frame, transformed +\d", stdout, re.M)


def test_runs_are_compared(made: Path, tmp_path: Path) -> None:
    features, other = made / "features.h5", tmp_path / "other"
    code, stdout, stderr = vidrep("finetune", features, "-o", other, "--recipe", "demo-finetune", *TINY)
    assert code == 0, stderr
    assert stdout.startswith("not cross-validated: evaluate shows whether it is better than mean feature and single")
    code, stdout, stderr = vidrep("compare", made / "actions", other, features)
    assert code == 0, stderr
    assert "started_from.encoder_sha256" in stdout
    assert re.search(rf"^By accuracy per video, on 8 videos, {other} is .*{made / 'actions'} \(", stdout, re.M)
    content = json.loads(vidrep("compare", made / "actions", other, features, "--json")[1])
    assert [one["run"] for one in content["runs"]] == [str(made / "actions"), str(other)]
    one_line(["compare", other, features], 2, "2 paths: give two runs or more, and last the features")
    one_line(["compare", other, made / "pretrained", features], 2, "compare runs of one kind")


def test_a_probe_of_a_pretraining_prints_a_table(made: Path) -> None:
    code, stdout, stderr = vidrep("evaluate", made / "pretrained", made / "features.h5", "--probe")
    assert code == 0, stderr
    assert re.search(r"^classifiers fitted to \d+ labeled videos, measured on \d+, 8 classes$", stdout, re.M)
    cells = r"(\d\.\d{3} +){2}\d\.\d{3} to (\d\.\d{3} *){2}"
    assert re.search(rf"^frozen encoder, mean h +kNN, k = \d+ +{cells}$", stdout, re.M)
    content = json.loads(vidrep("evaluate", made / "pretrained", made / "features.h5", "--probe", "--json")[1])
    assert len(content["probe"]["rows"]) == 24
    one_line(["evaluate", made / "actions", made / "features.h5", "--probe"], 2, "a probe: for a pretraining")


def test_evaluate_of_a_pretraining_prints_losses_with_baselines(made: Path) -> None:
    code, stdout, _ = vidrep("evaluate", made / "pretrained", made / "features.h5")
    assert code == 0
    for name in ("future", "reconstruction", "mean frame", "persistence", "zeros", "free running"):
        assert name in stdout
    assert "teacher-forced" not in stdout
    assert re.search(r"^model, at future time step( +\d+)+$", stdout, flags=re.MULTILINE)
    content = json.loads(vidrep("evaluate", made / "pretrained", made / "features.h5", "--json")[1])
    future = content["metrics"]["by_objective"]["future"]["nats"]
    assert future.keys() == {"model", "mean frame", "persistence", "zeros", "entropy floor"}
    assert len(future["model"]["per_time_step"]) == content["metrics"]["num_future"]
    assert f"{future['model']['mean']:.2f}" in stdout


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with MNIST files of a few digits that nobody wrote."""
    folder = tmp_path_factory.mktemp("digits")
    pixels = bytes(number % 251 for number in range(3 * 28 * 28))
    for stem in ("train", "t10k"):
        (folder / f"{stem}-images-idx3-ubyte").write_bytes(struct.pack(">4I", 0x803, 3, 28, 28) + pixels)
    return folder


def test_evaluate_on_generated_sequences(tmp_path: Path, digits: Path) -> None:
    features, run, film = tmp_path / "f.h5", tmp_path / "run", tmp_path / "film.png"
    make = ["extract", "moving-mnist", "-o", features, "--mnist", digits, "-n", 8, "--canvas", 32, "--frames", 6]
    assert vidrep(*make, "--quiet")[0] == 0
    settings = [
        "--set",
        "windows.context=3",
        "--set",
        "windows.num_future=3",
        "--set",
        "objective.future.conditional=true",
    ]
    code, _, stderr = vidrep("train", features, "-o", run, *TINY, *settings, "--quiet")
    assert code == 0, stderr
    roll_out: list[object] = ["evaluate", run, "--mnist", digits, "--sequences", 3, "--threads", 1, "--num-future", 100]
    code, stdout, stderr = vidrep(*roll_out, "--num-digits", 3, "--seed", 5, "--filmstrip", film)
    assert code == 0, stderr
    head, table = stdout.splitlines()[:2]
    assert head == (
        "3 Moving MNIST sequences of test digits, 3 digits, seed 5, 3 windows of 3 context and 100 future frames, "
        "free running"
    )
    assert re.split("  +", table)[1:] == [
        "model", "model, teacher-forced", "mean frame", "persistence", "zeros", "entropy floor",
    ]  # fmt: skip
    assert "SSIM, data range 1, higher is better" in stdout
    assert "PSNR in dB, data range 1, higher is better" in stdout
    steps = next(line for line in stdout.splitlines() if line.startswith("model, at future time step"))
    assert steps.split()[5:] == ["1", "2", "5", "10", "20", "50", "100"]
    assert film.read_bytes().startswith(b"\x89PNG")
    one_line(["evaluate", run, "--mnist", tmp_path / "no"], 3, "no such folder")
    content = json.loads(vidrep(*roll_out, "--json")[1])
    assert content["which"] == "Moving MNIST sequences of test digits, 2 digits, seed 1"
    assert len(content["metrics"]["by_objective"]["future"]["ssim"]["zeros"]["per_time_step"]) == 100


def test_bad_options_of_evaluate_are_one_line(made: Path, digits: Path) -> None:
    run, features = made / "pretrained", made / "features.h5"
    one_line(["evaluate", run], 2, "either FEATURES or --mnist FOLDER")
    one_line(["evaluate", run, features, "--mnist", digits], 2, "either FEATURES or --mnist FOLDER")
    one_line(["evaluate", run, features, "--num-digits", 2], 2, "--num-digits, --sequences and --seed are for --mnist")
    one_line(
        ["evaluate", run, "--mnist", digits, "--labels", CLIPS / "labels.csv"],
        2,
        "--labels, --splits, --group, --group-blocks and --probe are for",
    )
    one_line(["evaluate", run, "--mnist", digits, "--split", "test"], 2, "without splits")
    one_line(["evaluate", run, "--mnist", digits], 3, "(8, 8)", "at least 28 pixels")
    one_line(["evaluate", run, features, "--num-future", 100], 3, "predict fewer frames")
    one_line(["evaluate", run, features, "--filmstrip", "film.gif"], 5, ".png")
    one_line(["evaluate", made / "actions", features, "--num-future", 3], 2, "classifier")


def test_predict_in_all_forms(made: Path) -> None:
    clip = CLIPS / "left" / "left-0001.mp4"
    code, stdout, _ = vidrep("predict", made / "actions", clip, "--quiet")
    assert code == 0
    name, _, answer = stdout.strip().partition(": ")
    assert name == str(clip)
    assert 0 < float(answer.split(", ")[1]) <= 1
    content = json.loads(vidrep("predict", made / "actions", clip, "--json", "--quiet")[1])
    assert (content[0]["path"], content[0]["key"]) == (str(clip), "left-0001.mp4")
    assert sum(content[0]["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    csv_lines = vidrep("predict", made / "actions", CLIPS, "--csv", "--quiet")[1].splitlines()
    assert len(csv_lines) == 33
    assert csv_lines[0].startswith("path,key,label,clockwise,")
    assert csv_lines[1].startswith(f"{CLIPS / 'clockwise' / 'clockwise-0001.mp4'},clockwise/clockwise-0001.mp4,")


def test_info_of_features_and_runs(made: Path) -> None:
    code, stdout, _ = vidrep("info", made / "features.h5", "--verify")
    assert code == 0
    assert "all agree" in stdout
    assert json.loads(vidrep("info", made / "actions", "--json")[1])["what"] == "a run: a classifier"


def test_dry_run_writes_nothing(tmp_path: Path) -> None:
    code, stdout, _ = vidrep("extract", "patches", CLIPS, "-o", tmp_path / "features.h5", "--dry-run")
    assert code == 0
    assert "32 videos" in stdout
    assert list(tmp_path.iterdir()) == []


def test_quiet_prints_one_line_and_very_quiet_nothing(tmp_path: Path) -> None:
    extract = ["extract", "patches", CLIPS / "up", "-o", tmp_path / "f.h5", "--size", 4, "--workers", 0]
    assert vidrep(*extract, "-qq") == (0, "", "")
    code, stdout, stderr = vidrep(*extract, "--quiet")
    assert (code, stdout, stderr) == (0, f"{tmp_path / 'f.h5'}: 4 videos, 80 frames; 0 new\n", "")


def test_a_missing_extractor_is_proposed(tmp_path: Path) -> None:
    one_line(["extract", tmp_path, "-o", tmp_path / "f.h5"], 2, f"`vidrep extract cnn {tmp_path} ...`")
    one_line(["extract", "clips/*.mp4", "-o", tmp_path / "f.h5"], 2, "`vidrep extract cnn clips/*.mp4 ...`")
    one_line(["extract", "nothing", "-o", tmp_path / "f.h5"], 2, "extractor 'nothing' is not registered")


def test_swapped_arguments_are_recognized(made: Path) -> None:
    run, features = made / "actions", made / "features.h5"
    one_line(["evaluate", features, run], 2, f"{features} is a feature file; evaluate takes RUN FEATURES")
    one_line(["evaluate", run, run], 2, f"{run} is a run; evaluate takes RUN FEATURES")
    one_line(["predict", features, run], 2, f"{features} is a feature file; predict takes RUN VIDEOS")
    one_line(["finetune", run, "-o", made / "x"], 2, f"{run} is a run; finetune takes FEATURES")
    one_line(["train", run, "-o", made / "x"], 2, f"{run} is a run; train takes FEATURES")


def test_a_run_goes_on_by_its_name_alone(made: Path, tmp_path: Path) -> None:
    labels = tmp_path / "labels.csv"
    labels.write_text((CLIPS / "labels.csv").read_text(encoding="utf-8"), encoding="utf-8")
    begin = ["train", made / "features.h5", "-o", tmp_path / "run", "--recipe", "demo-pretrain", "--labels", labels]
    small = ["--set", "encoder.hidden_size=4", "--steps", 2]
    assert vidrep(*begin, *small, "-q")[0] == 0
    code, stdout, stderr = vidrep("train", "-o", tmp_path / "run", "--resume", "--steps", 3, "-q")
    assert (code, stdout.count("\n")) == (0, 1), stderr
    assert "3 steps in" in stdout
    told = vidrep("info", tmp_path / "run")[1]
    assert f"command                    vidrep train {made / 'features.h5'} " in told
    assert f"labels                     {labels}" in told
    assert "3 in all, asked for at step 2" in told
    labels.unlink()
    one_line(["train", "-o", tmp_path / "run", "--resume"], 3, "labels.csv")
    one_line(["train", "-o", tmp_path / "none", "--resume"], 3, "no run to resume")
    one_line(["finetune", "-o", tmp_path / "none"], 2, "no features: give FEATURES")


def test_recipes_have_a_line_each() -> None:
    lines = vidrep("recipes")[1].splitlines()
    assert lines[0] == "vidrep train --recipe NAME"
    assert "  all-labels          Many labels: an ensemble of five, chosen by grouped cross-validation" in lines
    assert max(map(len, lines)) < 120
    listed = json.loads(vidrep("recipes", "--json")[1])
    assert sum(map(len, listed.values())) == len(lines) - 2
    assert all(listed["train"].values())


def test_runs_are_listed_in_columns(made: Path) -> None:
    lines = vidrep("info", made)[1].splitlines()
    assert {"actions", "pretrained"} <= set(lines[0].split())
    assert lines[1].split()[0] == "what"
    assert vidrep("info", made, "--json")[1].startswith("{")


def test_a_bad_video_among_good_ones_is_exit_code_4(tmp_path: Path, made: Path) -> None:
    clips = tmp_path / "clips"
    clips.mkdir()
    (clips / "good.mp4").write_bytes((CLIPS / "up" / "up-0001.mp4").read_bytes())
    (clips / "text.mp4").write_text("no video")
    (clips / "empty.mp4").touch()
    code, stdout, stderr = vidrep("extract", "patches", clips, "-o", tmp_path / "f.h5", "--size", 8)
    assert code == 4
    assert "f.h5: 1 videos, 20 frames" in stdout
    assert "failed: empty.mp4: the file is empty (0 bytes)" in stderr
    assert "2 videos failed, 0 are partial" in stderr
    assert "Traceback" not in stderr
    annotations = (tmp_path / "f.failures.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in annotations] == ["video", "empty.mp4", "text.mp4"]
    code, stdout, stderr = vidrep("predict", made / "actions", clips, "--quiet")
    assert code == 4
    assert stdout.startswith(f"{clips / 'good.mp4'}: ")


def test_bad_inputs_of_extract_are_one_line(tmp_path: Path) -> None:
    output = tmp_path / "f.h5"
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("a")
    extract: list[object] = ["extract", "patches", "-o", output]
    one_line([*extract, tmp_path / "nowhere"], 3, "nowhere")
    one_line([*extract, tmp_path / "empty"], 3, "empty")
    one_line([*extract, tmp_path / "notes"], 3, "notes", ".txt")
    one_line(extract, 2, "--list")
    one_line([*extract, CLIPS, "--fps", "0"], 2, "fps")
    one_line([*extract, CLIPS, "--size", "0"], 2, "size")
    one_line([*extract, CLIPS, "--labels", tmp_path / "no.csv"], 3, "no.csv")
    cnn: list[object] = ["extract", "cnn", CLIPS, "-o", output, "--weights", "none"]
    one_line([*cnn, "--model", "resnet19"], 6, "resnet18")
    one_line([*cnn, "--model", "squeezenet1_1", "--layer", "clasifier.1"], 6, "classifier.1")
    one_line([*cnn, "--model", "squeezenet1_1", "--weights", "no.pth"], 6, "no.pth")
    assert not output.exists()


def test_other_settings_for_the_same_output_are_refused(made: Path) -> None:
    before = (made / "features.h5").read_bytes()
    one_line(["extract", "patches", CLIPS, "-o", made / "features.h5", "--size", "9"], 5, "size is 8, not 9")
    assert (made / "features.h5").read_bytes() == before


def test_a_fitted_head_takes_no_steps(made: Path, tmp_path: Path) -> None:
    run, features = tmp_path / "run", made / "features.h5"
    fit = ["finetune", features, "--from", made / "pretrained", "-o", run, "--set", "classifier.head=prototypes"]
    one_line(fit, 2, "--freeze")
    code, stdout, stderr = vidrep(*fit, "--freeze")
    assert code == 0, stderr
    assert re.search(r"8 classes, fitted in [\d.]+ s; [\d.]+ % of the time waiting for data", stdout)
    code, stdout, stderr = vidrep("evaluate", run, features)
    assert code == 0 and "LSTM, per video" in stdout, stderr


def test_bad_inputs_of_train_and_finetune_are_one_line(made: Path, tmp_path: Path) -> None:
    features, new = made / "features.h5", tmp_path / "run"
    one_line(["train", tmp_path / "no.h5", "-o", new], 3, "no.h5")
    one_line(["train", features, "-o", made / "pretrained", "--recipe", "demo-pretrain"], 5, "--overwrite")
    one_line(["train", features, "-o", new, "--recipe", "demo-pretrian"], 2, "demo-pretrain")
    one_line(["train", features, "-o", new, "--set", "encoder.hiden_size=3"], 2, "hidden_size")
    one_line(["train", features, "-o", new, "--set", "windows.context=30"], 3, "the longest video of all has 20")
    one_line(["train", features, "-o", new, "--device", "tpu"], 2, "cuda")
    one_line(["train", features, "-o", new, "--resume", "--recipe", "demo-pretrain"], 3, "resume")
    one_line(["train", features, "-o", new, "--steps", "3", "--set", "training.steps=4"], 2, "--steps")
    one_line(["finetune", features, "-o", new, "--from", tmp_path / "no"], 3, "no such run folder")
    one_line(["evaluate", tmp_path / "no", features], 3, "no such run folder")
    one_line(["predict", made / "pretrained", CLIPS], 3, "finetune")
    assert not new.exists()


def test_train_on_digits_makes_its_sequences_and_draws_a_filmstrip(tmp_path: Path, digits: Path) -> None:
    run = tmp_path / "run"
    small = ["--set", "moving_mnist.canvas=32", "--set", "windows.context=3", "--set", "windows.num_future=3"]
    code, stdout, stderr = vidrep(
        "train",
        "--mnist",
        digits,
        "-o",
        run,
        "--recipe",
        "modern-mnist-small",
        *TINY,
        *small,
        "--precision",
        "fp32",
        "--details",
    )
    assert code == 0, stderr
    assert "on sequences of held-out digits, 1024 windows, free running:" in stdout
    assert "entropy floor" in stdout
    assert (run / "samples" / "filmstrip.png").read_bytes().startswith(b"\x89PNG")
    assert {path.name for path in run.iterdir()} >= {"metrics.jsonl", "model.safetensors", "checkpoints", "tensorboard"}


def test_bad_inputs_of_the_trainings_settings_are_one_line(made: Path, digits: Path, tmp_path: Path) -> None:
    features, run = made / "features.h5", tmp_path / "run"
    train: list[object] = ["train", features, "-o", run, "--recipe", "demo-pretrain"]

    def change(setting: str) -> list[object]:
        return [*train, "--set", setting]

    one_line(["train", "-o", run], 2, "one of the two")
    one_line([*train, "--mnist", digits], 2, "one of the two")
    one_line(["train", "--mnist", digits, "-o", run, "--labels", CLIPS / "labels.csv"], 2, "leave them out")
    one_line(change("windows.context=1000"), 3, "no training video has a window of 1008 frames, the longest")
    one_line([*train, "--batch-size", 100_000], 2, "training.batch_size 100000", "windows; give at most that many")
    one_line(change("windows.num_future=0"), 2, "an objective needs frames after the context")
    one_line(change("optimizer.clip_value=1"), 2, "set one of them to 0")
    one_line(change('objectives=["reconstruction"]'), 2, "windows.num_future is 8", "no objective")
    one_line(
        [*change('objectives=["reconstruction"]'), "--set", "objective.future.conditional=true"],
        2,
        "objective.future has settings, but objective 'future' is not in use; in use: reconstruction",
    )
    one_line([*train, "--precision", "fp8"], 2, "precision is 'fp8'; it takes 'auto' or 'fp32' or 'tf32' or 'bf16'")
    if not torch.cuda.is_available():
        one_line([*train, "--device", "cuda"], 2, "finds none here; use --device auto or cpu")
    assert not run.exists()
    changed = ["train", features, "-o", made / "pretrained", "--recipe", "demo-pretrain", "--resume"]
    one_line(changed, 2, "recipe demo-pretrain has training.steps 800", "leave --recipe out, or add --steps N")
    one_line([*changed, "--steps", 4], 5, "resumed with", "the run has", "give a new folder")


def test_features_of_another_width_are_refused(made: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.h5"
    assert vidrep("extract", "patches", CLIPS, "-o", other, "--size", "6", "--quiet")[0] == 0
    for arguments in (
        ["finetune", other, "-o", tmp_path / "run", "--from", made / "pretrained"],
        ["evaluate", made / "actions", other],
        ["compare", made / "actions", made / "actions", other],
        ["predict", made / "actions", other],
    ):
        one_line([*arguments], 3, "other.h5", "(6, 6)", "(8, 8)")


@pytest.mark.slow
def test_demo_runs_the_whole_path_and_removes_only_what_a_demo_made(tmp_path: Path) -> None:
    demo = ["demo", "-o", tmp_path / "demo", "--per-class", 8, "--steps", 3, "--threads", 1]
    code, stdout, stderr = vidrep(*demo)
    assert code == 0, stderr
    for command in ("sample", "extract patches", "train", "finetune", "evaluate", "predict"):
        assert f"\n$ vidrep {command} " in stdout
    assert "LSTM, frames shuffled" in stdout
    assert "Lower is better: the model beside the mean of all training frames" in stdout
    assert "Accuracy: the share of videos" in stdout
    assert "nats/frame" not in stdout
    one_line([*demo], 5, "--overwrite")
    (tmp_path / "demo" / "thesis.txt").write_text("mine")
    one_line([*demo, "--overwrite"], 5, "thesis.txt")
    assert (tmp_path / "demo" / "thesis.txt").read_text() == "mine"
