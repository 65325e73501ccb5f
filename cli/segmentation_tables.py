"""What `vidrep evaluate` prints of a run that labels frames."""

from typing import TYPE_CHECKING

from .layout import table

if TYPE_CHECKING:
    from vidrep.evaluation.segmentation import Measured, SegmentationEvaluation
    from vidrep.metrics.segmentation.estimate import Estimate


def segmentation_report(result: "SegmentationEvaluation") -> str:
    """Describe bouts and frames, with the baselines below, and each label."""
    bouts, seconds = result.predicted.bouts, result.seconds
    left_out = f"; {result.num_left_out} left out, which the run was trained on" if result.num_left_out else ""
    reads = f"reads up to {result.delay} frames ahead" if result.delay else "causal"
    head = (
        f"{result.num_videos} {result.which}, {seconds / 60:.1f} annotated minutes, {bouts.num_true} bouts of "
        f"{len(bouts.by_label)} labels{left_out}; {reads}"
    )
    first = {} if result.predictor == "LSTM" else {f"predictor: {result.predictor}": result.predicted}
    rows = [_row(name, one) for name, one in {**first, "LSTM": result.network, **result.baselines}.items()]
    intervals = [
        f"F1 at 50 % overlap {_with_interval(bouts.f1[0.5])}",
        f"accuracy of frames {_with_interval(result.predicted.frames.accuracy)}",
        f"boundaries off by {_with_interval(bouts.boundary_error)} s",
        f"mean average precision {_number(bouts.activitynet)} (tIoU .5 to .95), {_number(bouts.thumos)} (.3 to .7)",
    ]
    columns = ["", "F1@10", "F1@25", "F1@50", "edit", "boundaries s", "frames", "macro F1", "bouts", "true"]
    summary = "\n".join([head, table(columns, rows), "; ".join(intervals)])
    return "\n\n".join([summary, _label_table(result), result.verdict])


def _row(name: str, measured: "Measured") -> list[str]:
    bouts, frames = measured.bouts, measured.frames
    values = [*(bouts.f1[overlap].value for overlap in (0.1, 0.25, 0.5)), bouts.edit.value]
    values += [bouts.boundary_error.value, frames.accuracy.value, frames.macro_f1.value]
    return [name, *map(_number, values), str(bouts.num_predictions), str(bouts.num_true)]


def _label_table(result: "SegmentationEvaluation") -> str:
    of_frames = {one.name: one for one in result.predicted.frames.by_label}
    rows = []
    for one in result.predicted.bouts.by_label:
        frames = of_frames[one.name]
        found = [one.f1[0.5], frames.precision, frames.recall, frames.f1]
        rows.append([one.name, str(one.num_true), str(one.num_predictions), *map(_number, found)])
    return table(["label", "true bouts", "found", "F1@50", "frames: precision", "recall", "F1"], rows)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _with_interval(estimate: "Estimate") -> str:
    if estimate.value is None or estimate.low is None or estimate.high is None:
        return _number(estimate.value)
    return f"{estimate.value:.3f} (95 % interval {estimate.low:.3f} to {estimate.high:.3f})"
