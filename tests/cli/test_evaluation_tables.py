"""What `evaluate` and `compare` print: classes, mistakes and runs beside each other, exactly."""

from vidrep.evaluation.classification import ClassificationEvaluation
from vidrep.evaluation.compare import ComparedRun, Comparison
from vidrep.evaluation.video_results import VideoResult
from vidrep.metrics.calibration import Calibration, Reliability
from vidrep.metrics.classification import Accuracy
from vidrep.metrics.confusion import Confusion
from vidrep.metrics.paired import PairedDifference
from vidrep.training.overfitting import Overfitting
from vidrep_cli.tables import class_table, classification_report, comparison_report

HALF = Accuracy(accuracy=0.5, low=0.25, high=0.75, balanced_accuracy=0.5, num_groups=8)
CALIBRATION = Calibration(
    temperature=2.0,
    final_temperature=1.0,
    before=Reliability(expected_calibration_error=0.25, log_loss=1.5, bins=[]),
    after=Reliability(expected_calibration_error=0.125, log_loss=1.25, bins=[]),
)
DIFFERENCE = PairedDifference(difference=0.25, low=0.125, high=0.375)
OVERFITTING = Overfitting(
    since_step=200, lowest=340, step=400, validation=512, training=93, remedies=("fewer steps (--steps 200)", "more")
)


def result_of(confusion: Confusion, videos: list[VideoResult]) -> ClassificationEvaluation:
    return ClassificationEvaluation(
        which="videos of split 'test'",
        classes=confusion.classes,
        num_videos=sum(map(sum, confusion.counts)),
        num_windows=9,
        num_left_out=0,
        shuffled=False,
        per_window=HALF,
        per_video=HALF,
        predictor="LSTM",
        predicted=HALF,
        baselines={"mean feature": HALF},
        differences={"mean feature": DIFFERENCE},
        calibration=CALIBRATION,
        confusion=confusion,
        by_class=confusion.by_class(),
        videos=videos,
        overfitting=OVERFITTING,
    )


def mistake(number: int, path: str = "") -> VideoResult:
    probabilities = {"run": number / 100, "jump": 1 - number / 100, "sit": 0.0}
    key = f"run/{number:02d}.mp4"
    return VideoResult(video=key, path=path, group=key, true="run", predicted="jump", probabilities=probabilities)


def test_a_report_has_the_summary_the_classes_the_mistakes_and_a_verdict() -> None:
    confusion = Confusion(classes=["jump", "run", "sit"], counts=[[3, 0, 0], [2, 1, 0], [2, 0, 0]])
    videos = [mistake(2, "clips/run/02.mp4"), mistake(1)]
    assert (
        classification_report(result_of(confusion, videos))
        == """\
8 videos of split 'test', 9 windows, 3 classes
                         accuracy   95 % interval  balanced  LSTM better by     95 % interval
LSTM, per video             0.500  0.250 to 0.750     0.500
LSTM, per window            0.500  0.250 to 0.750     0.500
mean feature, per video     0.500  0.250 to 0.750     0.500          +0.250  +0.125 to +0.375
Too few videos to measure some classes on (fewer than 3): sit 2. `finetune` with --folds tests every labeled video once.

class  videos  precision  recall     F1  most confused with
jump        3      0.429   1.000  0.600                   -
run         3      1.000   0.333  0.500            jump (2)
sit         2          -   0.000  0.000            jump (2)
never predicted, with the number of their videos: sit (2)

worst mistakes    true  predicted  probability  of the true class
run/01.mp4         run       jump        0.990              0.010
clips/run/02.mp4   run       jump        0.980              0.020

The LSTM is better than mean feature (+0.250, 95 % interval +0.125 to +0.375)
Overfits since step 200: at step 400 validation 512 (lowest 340), training 93; try fewer steps (--steps 200) or more
calibration error 0.250 before and 0.125 after the temperature (2.00 of the LSTM); log loss 1.500 and 1.250 nats"""
    )


def test_without_mistakes_that_is_said_and_of_many_the_rest_is_counted() -> None:
    confusion = Confusion(classes=["jump", "run"], counts=[[3, 0], [0, 0]])
    lines = classification_report(result_of(confusion, [])).splitlines()
    assert "no mistakes" in lines and "classes without a video here: run" in lines
    lines = classification_report(result_of(confusion, [mistake(number) for number in range(12)])).splitlines()
    assert "and 2 more; --errors FILE.csv has all" in lines


def test_of_many_classes_the_worst_are_shown() -> None:
    names = [f"c{number:02d}" for number in range(40)]
    counts = [[0] * 40 for _ in names]
    for number in range(40):
        counts[number][number] = number
        counts[number][0] += 20
    lines = class_table(Confusion(classes=names, counts=counts).by_class()).splitlines()
    assert [line.split()[0] for line in lines[1:20]] == [f"c{number:02d}" for number in (0, *range(1, 19))]
    assert lines[21] == "the 20 of 40 classes with the lowest F1; --json has all"


def test_runs_stand_beside_each_other_with_the_settings_that_differ() -> None:
    runs = [
        ComparedRun(run="runs/a", predictor="LSTM", score=0.5, better=None),
        ComparedRun(run="runs/b", predictor="ordered bins", score=0.75, better=DIFFERENCE),
    ]
    settings = {"training.steps": ["100", "200"], "objectives": ["-", "a, " * 20]}
    comparison = Comparison(
        which="videos that no run was trained on",
        num_videos=8,
        num_left_out=3,
        measure="accuracy per video",
        runs=runs,
        settings=settings,
    )
    assert (
        comparison_report(comparison)
        == """\
8 videos that no run was trained on (3 left out: a run was trained on them)
           predictor  accuracy per video  better than runs/a by     95 % interval
runs/a          LSTM               0.500
runs/b  ordered bins               0.750                 +0.250  +0.125 to +0.375

settings that differ  runs/a                                    runs/b
training.steps           100                                       200
objectives                 -  a, a, a, a, a, a, a, a, a, a, a, a, a...

By accuracy per video, on 8 videos, runs/b is better than runs/a (+0.250, 95 % interval +0.125 to +0.375)"""
    )
