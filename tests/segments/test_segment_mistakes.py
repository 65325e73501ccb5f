"""Files of annotations that are wrong: one clear line, with the file and the row."""

import json
from pathlib import Path

import pytest

from vidrep.errors import ConfigError, InputError, LabelError, OutputError, VidrepError
from vidrep.features.annotation_files import read_annotations
from vidrep.segments.frame_clock import ConstantRate
from vidrep.segments.reading import read_segments
from vidrep.segments.segment import Annotations, Segment
from vidrep.segments.writing import write_segments

TABLE = "video,start,end,label\n"
BORIS = "Observation id,Media file path,Total length,Subject,Behavior,Status,Time\n"
AGGREGATED = "Observation id,Media file,Total length,Subject,Behavior,Behavior type,Start (s),Stop (s)\n"
FRAMES = ",background,groom\n0,1,0\n"
EAF = '<ANNOTATION_DOCUMENT><HEADER TIME_UNITS="milliseconds"/>'
SLOTS = '<TIME_ORDER><TIME_SLOT TIME_SLOT_ID="t" TIME_VALUE="5"/></TIME_ORDER>'


def tier(reference: str) -> str:
    return (
        f'{EAF}{SLOTS}<TIER TIER_ID="x"><ANNOTATION>\n<ALIGNABLE_ANNOTATION TIME_SLOT_REF1="t" {reference}>'
        "</ALIGNABLE_ANNOTATION></ANNOTATION></TIER></ANNOTATION_DOCUMENT>"
    )


def database(**entry: object) -> str:
    return json.dumps({"database": {"v": entry}})


MISTAKES = {
    # our own table
    "end before start": ("a.csv", TABLE + "a,2,1,x\n", "line 2: ends at 1 s, before it starts at 2 s; swap or correct"),
    "before the video": ("a.csv", TABLE + "a,0,1,x\na,-2,1,x\n", "line 3: starts at -2 s, before the video; write"),
    "no time": ("a.csv", TABLE + "a,soon,1,x\n", "line 2: start 'soon' is no time; write seconds, 83.4, or hours"),
    "no end": ("a.csv", TABLE + "a,1,,x\n", "line 2: end '' is no time"),
    "infinite": ("a.csv", TABLE + "a,0,inf,x\n", "line 2: end 'inf' is no time"),
    "no video": ("a.csv", TABLE + ",0,1,x\n", "line 2: no video is named; write its name or its path"),
    "too few values": ("a.csv", TABLE + "a,0,1\n", "line 2: 3 values for 4 columns (video,start,end,label); quote"),
    "unknown column": ("a.csv", "video,start,end,label,subjct\na,0,1,x,y\n", "'subjct'; did you mean 'subject'?"),
    "a column twice": ("a.csv", "video,start,end,label,Label\n", "a column is named twice in video,start,end,label,L"),
    "a bad quote": ("a.csv", TABLE + 'a,0,1,"x\n', "not a CSV (unexpected end of data)"),
    "control character": ("a.csv", TABLE + "a,0,1,x\x01\n", "line 2: the label 'x\\x01' holds the control character"),
    "two splits": ("a.csv", "video,start,end,label,split\na,0,1,x,train\na,1,2,x,test\n", "line 3: 'a' is in the spl"),
    "unknown split": ("a.csv", "video,start,end,label,split\na,0,1,x,trian\n", "unknown split 'trian'; allowed are"),
    # BORIS
    "no stop": ("a.csv", BORIS + "o,a.mp4,60,s,groom,START,1\n", "line 2: 'groom' starts and does not stop; correct"),
    "no start": ("a.csv", BORIS + "o,a.mp4,60,s,groom,STOP,1\n", "line 2: 'groom' stops and did not start; correct"),
    "two starts": (
        *("a.csv", BORIS + "o,a.mp4,60,s,groom,START,1\no,a.mp4,60,s,groom,START,2\n"),
        "line 3: 'groom' starts again before it stopped; it started in",
    ),
    "stop before start": (
        *("a.csv", BORIS + "o,a.mp4,60,s,groom,START,3\no,a.mp4,60,s,groom,STOP,2\n"),
        "line 2: ends at 2 s, before it starts at 3 s",
    ),
    "unknown kind": ("a.csv", BORIS + "o,a.mp4,60,s,groom,PAUSE,1\n", "unknown kind of event 'PAUSE'; known are START"),
    "several media": (
        *("a.csv", BORIS + "o,a.mp4,60,s,x,POINT,1\no,b.mp4,60,s,x,POINT,2\n"),
        "line 2: the observation 'o' has several media files, and not how long each is; export it with BORIS 8",
    ),
    "other width": ("a.csv", BORIS + "o,a.mp4\n", "line 2: 2 values for 7 columns; export the file again"),
    "aggregated": ("a.csv", AGGREGATED + "o,a.mp4,60,s,x,STATE,2,NA\n", "line 2: stop 'NA' is no time"),
    # a row a frame
    "not 0 or 1": ("a.csv", FRAMES + "1,0,2\n", "line 3: '2' in the column 'groom'; write 1, 0, or -1 for a frame"),
    "a frame is missing": ("a.csv", FRAMES + "2,0,1\n", "line 3: frame '2' where 1 follows; write one row for each"),
    "text among features": ("a.csv", ",x,groom\n0,0,0\n1,far,1\n", "line 3: 'far' in the column 'x'; write 1, 0, or"),
    # ELAN
    "cut short": ("a.eaf", EAF, "line 1: no XML (no element found); save it in ELAN again"),
    "other XML": ("a.eaf", "<?xml version='1.0'?>\n<html/>", "line 2: 'html' is no document of ELAN, which begins"),
    "a doctype": (
        *("a.eaf", '<?xml version="1.0"?>\n<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>\n<x>&a;</x>'),
        "line 2: the document has a DOCTYPE, which ELAN does not write; remove it",
    ),
    "no slot": ("a.eaf", tier('TIME_SLOT_REF2="u"'), "line 2: no time slot 'u'; save it in ELAN again"),
    "no reference": ("a.eaf", tier(""), "line 2: ALIGNABLE_ANNOTATION has no 'TIME_SLOT_REF2'; save it"),
    "other units": ("a.eaf", EAF.replace("milli", "pico"), "times in 'picoseconds'; ELAN has milliseconds"),
    "deep": ("a.eaf", EAF + "<a>" * 5000, "line 1: nested too deep for a document of ELAN"),
    "PAL frames": ("a.txt", "Tier\tBegin Time - PAL\tEnd Time - PAL\tx\n", "no column 'begin time' in seconds"),
    # the others
    "no annotations": ("a.json", database(duration=3), "'v': no annotations; each video needs"),
    "no segment": ("a.json", database(annotations=[{"label": "x"}]), "'v', annotation 1: needed are"),
    "bad time": ("a.json", database(annotations=[{"label": "x", "segment": [True, 1]}]), "1: 'True' is no time"),
    "a video twice": ("a.json", '{"database": {"v": 1, "v": 2}}', "'v' is there twice in one object; keep one"),
    "no JSON": ("a.json", '{"database":\n {', "line 2: not JSON (Expecting property name"),
    "deep JSON": ("a.json", '{"a":' * 200_000, "no list of videos"),
    "no label": ("a.txt", "1.0\t2.0\tx\n3.0\t4.0\n", "line 2: '3.0\\t4.0' has no label; write start, end and label"),
    "no cue": ("a.srt", "1\n00:00:01,000 --> 00:00:02,000\nx\n\ngroom\n", "line 5: 'groom' is no cue; write its times"),
    "no text": ("a.srt", "1\n00:00:01,000 --> 00:00:02,000\n\n", "line 2: no label; write one, or remove the row"),
    "a broken cue": ("a.vtt", "WEBVTT\n\n00:0x.000 --> 00:02.000\nx\n", "line 3: start '00:0x.000' is no time"),
    # none of them
    "a list of labels": ("a.csv", "video,label\na,x\n", "no annotations with time that are recognized, it begins with"),
    "empty": ("a.csv", "", "no annotations with time that are recognized, it is empty; write a table"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_in_files(tmp_path: Path, mistake: str) -> None:
    name, text, message = MISTAKES[mistake]
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    with pytest.raises(LabelError) as caught:
        read_segments(path, frame_clock=ConstantRate(10))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert f"'{path}'" in str(caught.value)


def test_numbers_of_frames_need_a_clock(tmp_path: Path) -> None:
    path = tmp_path / "a_labels.csv"
    path.write_text(FRAMES)
    with pytest.raises(LabelError, match=r"counts frames: give the features of its video, .*--frame-rate"):
        read_segments(path)
    annotations = Annotations.of([Segment("a", 0, 1, "x")])
    with pytest.raises(LabelError, match=r"a row a frame needs the video's features \(--features\) or --frame-rate"):
        write_segments(annotations, tmp_path / "b_labels.csv", format="deepethogram")
    with pytest.raises(LabelError, match="would have 25000000000000 frames"):
        long = Annotations.of([Segment("a", 0, 1e12, "x")])
        write_segments(long, tmp_path / "b_labels.csv", format="deepethogram", frame_clock=ConstantRate(25))
    with pytest.raises(ConfigError, match="give frames a second, above 0"):
        ConstantRate(float("nan"))


def test_what_cannot_be_written(tmp_path: Path) -> None:
    two = Annotations.of([Segment("a", 0, 2, "x"), Segment("b", 0, 1, "x")])
    with pytest.raises(ConfigError, match=r"its ending names no format; give --format, one of activitynet"):
        write_segments(two, tmp_path / "a.xlsx")
    with pytest.raises(ConfigError, match=r"unknown format 'bori'; did you mean 'boris'"):
        write_segments(two, tmp_path / "a.tsv", format="bori")
    with pytest.raises(LabelError, match=r"has one video a file, and there are 2; name a folder, with --format srt"):
        write_segments(two, tmp_path / "a.srt")
    with pytest.raises(LabelError, match="there are no annotations to write"):
        write_segments(Annotations(), tmp_path / "a.csv")
    same_names = Annotations.of([Segment("x/a.mp4", 0, 2, "x"), Segment("y/a.mp4", 0, 1, "x")])
    with pytest.raises(LabelError, match=r"'x/a.mp4' and 'y/a.mp4' would both be .*a.vtt'; convert them one by one"):
        write_segments(same_names, tmp_path / "out", format="vtt")
    twice = Annotations.of([Segment("a", 0, 2, "x", place="row 1"), Segment("a", 1, 3, "x", place="row 2")])
    with pytest.raises(LabelError, match=r"row 2: 'x' begins before that in row 1 ends; .*boris-aggregated"):
        write_segments(twice, tmp_path / "a.tsv", format="boris")
    (tmp_path / "there.csv").write_text("kept")
    with pytest.raises(OutputError, match=r"there.csv exists; give a new name or --overwrite"):
        write_segments(two, tmp_path / "there.csv")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["there.csv"]
    write_segments(two, tmp_path / "there.csv", overwrite=True)
    assert read_segments(tmp_path / "there.csv") == two


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"PK\x03\x04\0\0\0")
    with pytest.raises(InputError, match=r"binary data, no text: save it as UTF-8 text \(a spreadsheet as CSV\)"):
        read_segments(tmp_path / "a.csv")
    with pytest.raises(InputError, match="does not exist"):
        read_segments(tmp_path / "b.csv")
    (tmp_path / "empty").mkdir()
    with pytest.raises(LabelError, match=r"has no file that ends in .csv, .eaf, .json"):
        read_segments(tmp_path / "empty")


def test_damaged_files_are_one_error(tmp_path: Path) -> None:
    """Whatever is cut off or changed in a file, it is read, or refused in one line."""
    texts = [text for _, text, _ in MISTAKES.values() if len(text) < 1000]
    path = tmp_path / "a.txt"
    num_refused = 0
    for text in texts:
        for position in range(0, len(text), 17):
            for damaged in (text[:position], text[:position] + "\x0b9,\t<\n" + text[position:]):
                path.write_text(damaged, encoding="utf-8")
                try:
                    read_segments(path, frame_clock=ConstantRate(10))
                except VidrepError as error:
                    assert "\n" not in str(error)
                    num_refused += 1
    assert num_refused > 200


@pytest.mark.parametrize(
    "names", ["video,start,end,label", "clip;label;onset;offset", "video\tBegin Time\tEnd Time\tlabel"]
)
def test_labels_with_times_are_refused_elsewhere(tmp_path: Path, names: str) -> None:
    path = tmp_path / "labels.csv"
    path.write_text(names + "\n")
    with pytest.raises(
        LabelError,
        match=r"line 1: columns are .*: these labels have a start and an end, .*; here a video has one label: "
        r"give finetune --annotations FILE",
    ):
        read_annotations(labels=path)
    kinetics = tmp_path / "train.csv"
    kinetics.write_text("label,youtube_id,time_start,time_end\nx,ID,84,94\n")
    assert list(read_annotations(labels=kinetics)) == ["ID_000084_000094"]
