"""Annotations with time in the forms that other tools document, recognized by their content."""

import json
import logging
from pathlib import Path

import pytest

from vidrep.segments.frame_clock import ConstantRate
from vidrep.segments.reading import read_segments
from vidrep.segments.segment import Annotations, Span

Row = tuple[str, float, float, str, str]


def write(folder: Path, name: str, text: str, *, encoding: str = "utf-8") -> Path:
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


def rows(found: Annotations) -> list[Row]:
    return [(one.video, one.start, one.end, one.label, one.subject) for one in found.segments]


def read_one(path: Path, caplog: pytest.LogCaptureFixture, *, rate: float | None = None) -> tuple[Annotations, str]:
    """Return what a file says, and the one line of the log, without the path in front."""
    caplog.set_level(logging.INFO, "vidrep")
    found = read_segments(path, frame_clock=ConstantRate(rate) if rate else None)
    (line,) = caplog.messages
    caplog.clear()
    assert line.startswith(f"'{path}': ")
    return found, line.removeprefix(f"'{path}': ")


# ---- our own table


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_table(tmp_path: Path, caplog: pytest.LogCaptureFixture, delimiter: str, encoding: str) -> None:
    lines = (
        "Video,START,End,Label,Subject,Group,Notes",
        "run/a.mp4,1.5,2.25,groom,anna,cage 1,good",
        "run/a.mp4,0:01:02.5,0:01:03,rear,,,",
        "",
        "b.mp4,0,90,,,,",
        "c.mp4,,,,,,",
    )
    path = write(tmp_path, "a.csv", "\r\n".join(lines).replace(",", delimiter), encoding=encoding)
    found, line = read_one(path, caplog)
    assert rows(found) == [("run/a.mp4", 1.5, 2.25, "groom", "anna"), ("run/a.mp4", 62.5, 63.0, "rear", "")]
    assert found.segments[0].group == "cage 1"
    assert found.segments[0].place == f"'{path}', line 2"
    assert found.watched == {"b.mp4": (Span(0, 90),), "c.mp4": (), "run/a.mp4": ()}
    assert line == (
        "a table of video, start, end and label (left out: Notes): 2 segments, 3 videos, 2 labels, 1 subjects, "
        "1 groups, 90.0 s watched"
    )


def test_a_table_with_other_names_of_columns_decimal_commas_and_splits(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "sep=;\nfilename;onset;stop;Behavior;subset\na.mp4;0,5;1,5;groom;val\n")
    found = read_segments(path)
    assert rows(found) == [("a.mp4", 0.5, 1.5, "groom", "")]
    assert found.splits == {"a.mp4": "validation"}


# ---- BORIS

TABULAR_7 = """\
Observation id	cage 1
Media file(s)
Player #1	clips/a.mp4
Time offset (s)	0.0

Time	Media file path	Total length	FPS	Subject	Behavior	Behavioral category	Comment	Status
3.300	clips/a.mp4	60.000	25.0	anna	groom			START
4.000	clips/a.mp4	60.000	25.0	No focal subject	bite		hard	POINT
7.750	clips/a.mp4	60.000	25.0	anna	groom			STOP
"""


def test_boris_7_tabular_events(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    found, line = read_one(write(tmp_path, "obs.tsv", TABULAR_7), caplog)
    assert rows(found) == [("clips/a.mp4", 3.3, 7.75, "groom", "anna"), ("clips/a.mp4", 4.0, 4.0, "bite", "")]
    assert found.watched == {"clips/a.mp4": (Span(0, 60),)}
    assert line.startswith(
        "BORIS, tabular events (left out: Comment): 2 segments, 1 videos, 2 labels, 1 subjects, 60.0 s"
    )


TABULAR_8 = (
    "Observation id,Observation date,Description,Observation duration,Observation type,Source,Time offset (s),"
    "Media duration (s),FPS,weather,Subject,Behavior,Behavioral category,Modifier #1,Behavior type,Time,"
    "Media file name,Image index,Image file path,Comment\n"
)


def tabular_8(observation: str, duration: str, source: str, lengths: str, *events: str) -> str:
    """Return rows of an observation; events: "subject,behavior,modifier,kind,time,file"."""
    head = f"{observation},2024-05-01 10:00:00,,{duration},Media file(s),{source},0,{lengths},25.000,sunny"
    rows = (event.split(",") for event in events)
    return "".join(f"{head},{s},{b},,{m},{kind},{time},{file},1,NA,\n" for s, b, m, kind, time, file in rows)


def test_boris_8_tabular_events_of_several_observations(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    text = TABULAR_8
    text += tabular_8(
        *("one", "50.000", "player #1:a.mp4;b.mp4|player #2:side.mp4", "20.000;30.000|50.000"),
        *("anna,groom,head,START,1.000,a.mp4", "anna,groom,tail,START,1.500,a.mp4"),
        *("anna,groom,tail,STOP,2.000,a.mp4", "anna,groom,head,STOP,3.000,a.mp4"),
        *("anna,rest,,START,19.000,a.mp4", "anna,rest,,STOP,22.500,b.mp4", "ben,bite,,POINT,20.000,b.mp4"),
    )
    text += tabular_8("two", "4.000", "player #1:c.mp4", "90.000", "x,rear,,START,10,c.mp4", "x,rear,,STOP,14,c.mp4")
    found, line = read_one(write(tmp_path, "all.csv", text), caplog)
    assert rows(found) == [
        ("a.mp4", 1.0, 3.0, "groom", "anna"),
        ("a.mp4", 1.5, 2.0, "groom", "anna"),
        ("a.mp4", 19.0, 20.0, "rest", "anna"),  # goes on in the file that follows
        ("b.mp4", 0.0, 0.0, "bite", "ben"),
        ("b.mp4", 0.0, 2.5, "rest", "anna"),
        ("c.mp4", 10.0, 14.0, "rear", "x"),
    ]
    # The second observation was coded for 4 s of 90: from its first event to its last.
    assert found.watched == {"a.mp4": (Span(0, 20),), "b.mp4": (Span(0, 30),), "c.mp4": (Span(10, 14),)}
    assert "weather, Modifier #1, Image index" in line


AGGREGATED_7 = (
    "Observation id\tObservation date\tDescription\tMedia file\tTotal length\tFPS\tSubject\tBehavior\t"
    "Behavioral category\tModifiers\tBehavior type\tStart (s)\tStop (s)\tDuration (s)\tComment start\tComment stop\n"
)


def test_boris_7_aggregated_events(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    head = "one\t2016-12-01 23:01:31\t\ta.mp4\t180.000\t25.0"
    text = AGGREGATED_7 + f"{head}\tNo focal subject\ts\t\t\tSTATE\t1.800\t8.125\t6.325\t\t\n"
    text += f"{head}\tsubject1\tp\t\t\tPOINT\t32.825\t32.825\tNA\t\t\n"
    found, line = read_one(write(tmp_path, "one.tsv", text), caplog)
    assert rows(found) == [("a.mp4", 1.8, 8.125, "s", ""), ("a.mp4", 32.825, 32.825, "p", "subject1")]
    assert found.watched == {"a.mp4": (Span(0, 180),)}
    assert line.startswith("BORIS, aggregated events (left out: Observation date): 2 segments")


def test_boris_live_observations_are_videos_of_their_own_names(tmp_path: Path) -> None:
    text = TABULAR_8 + tabular_8("live 1", "NA", "NA", "NA", "x,rear,,START,1,NA", "x,rear,,STOP,2,NA")
    found = read_segments(write(tmp_path, "live.csv", text))
    assert rows(found) == [("live 1", 1.0, 2.0, "rear", "x")]
    assert found.watched == {"live 1": ()}


# ---- ELAN

EAF = """<?xml version="1.0" encoding="UTF-8"?>
<ANNOTATION_DOCUMENT AUTHOR="" DATE="2024-01-01T00:00:00+00:00" FORMAT="3.0" VERSION="3.0">
    <HEADER MEDIA_FILE="" TIME_UNITS="milliseconds">
        <MEDIA_DESCRIPTOR MEDIA_URL="file:///C:/clips/a.wav" MIME_TYPE="audio/x-wav"/>
        <MEDIA_DESCRIPTOR MEDIA_URL="file:///C:/clips/caf%C3%A9%201.mp4" MIME_TYPE="video/mp4" TIME_ORIGIN="500"/>
    </HEADER>
    <TIME_ORDER>
        <TIME_SLOT TIME_SLOT_ID="ts1" TIME_VALUE="1000"/>
        <TIME_SLOT TIME_SLOT_ID="ts2" TIME_VALUE="2250"/>
        <TIME_SLOT TIME_SLOT_ID="ts3"/>
        <TIME_SLOT TIME_SLOT_ID="ts4" TIME_VALUE="9000"/>
    </TIME_ORDER>
    <TIER LINGUISTIC_TYPE_REF="default-lt" PARTICIPANT="anna" TIER_ID="behavior">
        <ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a1" TIME_SLOT_REF1="ts1" TIME_SLOT_REF2="ts2">
            <ANNOTATION_VALUE>bite &amp; run</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>
        <ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a2" TIME_SLOT_REF1="ts2" TIME_SLOT_REF2="ts4">
            <ANNOTATION_VALUE></ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>
        <ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a3" TIME_SLOT_REF1="ts2" TIME_SLOT_REF2="ts3">
            <ANNOTATION_VALUE>x</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>
    </TIER>
    <TIER LINGUISTIC_TYPE_REF="default-lt" TIER_ID="watched">
        <ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a4" TIME_SLOT_REF1="ts1" TIME_SLOT_REF2="ts4">
            <ANNOTATION_VALUE/></ALIGNABLE_ANNOTATION></ANNOTATION>
    </TIER>
    <TIER LINGUISTIC_TYPE_REF="note" PARENT_REF="behavior" TIER_ID="note">
        <ANNOTATION><REF_ANNOTATION ANNOTATION_ID="a5" ANNOTATION_REF="a1">
            <ANNOTATION_VALUE>a note</ANNOTATION_VALUE></REF_ANNOTATION></ANNOTATION>
    </TIER>
</ANNOTATION_DOCUMENT>
"""


def test_elan(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    found, line = read_one(write(tmp_path, "a.eaf", EAF), caplog)
    video = "C:/clips/café 1.mp4"
    assert rows(found) == [(video, 1.5, 2.75, "bite & run", "anna"), (video, 2.75, 9.5, "behavior", "anna")]
    assert found.watched == {video: (Span(1.5, 9.5),)}
    assert line.startswith(
        "ELAN's document (left out: 1 annotations that refer to others, 1 annotations without times): 2 segments"
    )


def test_elan_text_with_names_of_columns(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    text = (
        '"#file:///recordings/clips/a.mp4 -- offset: 0"\n'
        "Tier\tParticipant\tBegin Time - hh:mm:ss.ms\tEnd Time - hh:mm:ss.ms\tBegin Time - msec\tdefault\n"
        "behavior\tanna\t00:00:01.500\t00:00:02.250\t1500\tgroom\n"
        "rest\t\t00:01:00.000\t00:01:02.000\t60000\t\n"
    )
    found, line = read_one(write(tmp_path, "a.txt", text), caplog)
    video = "/recordings/clips/a.mp4"
    assert rows(found) == [(video, 1.5, 2.25, "groom", "anna"), (video, 60.0, 62.0, "rest", "")]
    assert found.segments[0].place.endswith("line 3")
    assert line.startswith("ELAN's tab-delimited text: 2 segments")


def test_elan_text_with_a_column_for_each_tier_in_milliseconds(tmp_path: Path) -> None:
    text = "Begin Time - msec\tEnd Time - msec\tDuration - msec\tleft\tright\n"
    text += "0\t40\t40\treach\t\n40\t80\t40\tgrab\treach\n"
    found = read_segments(write(tmp_path, "a.txt", text))
    assert rows(found) == [("a", 0.0, 0.04, "reach", ""), ("a", 0.04, 0.08, "grab", ""), ("a", 0.04, 0.08, "reach", "")]


def test_elan_text_without_names_of_columns(tmp_path: Path) -> None:
    text = (
        "behavior\tanna\t00:00:01.500\t1.5\t00:00:02.250\t2.25\t00:00:00.750\t0.75\tgroom\n"
        "behavior\t\t00:00:03.000\t3.0\t00:00:04.000\t4.0\t00:00:01.000\t1.0\trear\n"
    )
    found = read_segments(write(tmp_path, "a.txt", text))
    assert rows(found) == [("a", 1.5, 2.25, "groom", "anna"), ("a", 3.0, 4.0, "rear", "")]


# ---- a row a frame


def test_deepethogram(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    text = ",background,groom,rear\n0,1,0,0\n1,0,1,0\n2,0,1,1\n3,-1,-1,-1\n4,1,0,0\n"
    found, line = read_one(write(tmp_path, "mouse_labels.csv", text), caplog, rate=10)
    assert rows(found) == [("mouse", 0.1, 0.3, "groom", ""), ("mouse", 0.2, 0.3, "rear", "")]
    assert found.watched == {"mouse": (Span(0, 0.3), Span(0.4, 0.5))}
    assert found.segments[0].place.endswith("line 3")
    assert line == (
        "DeepEthogram's labels, a row a frame at 10 frames/s, behaviors groom, rear: 2 segments, 1 videos, 2 labels, "
        "0.4 s watched"
    )


def test_simba_targets(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    text = ",Ear_x,Count,Low_prob_detections_0.1,Attack,Sniff\n"
    text += "0,10.5,0,0,0,0\n1,11.5,1,0,1,0\n2,12.5,2,0,1,0\n"
    found, line = read_one(write(tmp_path, "mouse.csv", text), caplog, rate=2)
    assert rows(found) == [("mouse", 0.5, 1.5, "Attack", "")]
    assert found.labels == ("Attack", "Sniff")  # one never occurs
    assert found.watched == {"mouse": (Span(0, 1.5),)}
    assert line.startswith(
        "SimBA's frames, a row a frame at 2 frames/s, behaviors Attack, Sniff (left out: 3 other columns)"
    )


def test_simba_classifications(tmp_path: Path) -> None:
    text = ",Ear_x,Probability_Attack,Attack,Probability_Sniff,Sniff\n0,1.0,0.9,1,0.1,0\n1,1.0,0.2,0,0.8,1\n"
    found = read_segments(write(tmp_path, "mouse.csv", text), frame_clock=ConstantRate(1))
    assert rows(found) == [("mouse", 0.0, 1.0, "Attack", ""), ("mouse", 1.0, 2.0, "Sniff", "")]


# ---- the others


def test_activitynet(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    database = {
        "v_1": {
            "subset": "training",
            "duration": 82.75,
            "url": "-",
            "annotations": [{"segment": [1.5, 9], "label": "Jump"}, {"segment": ["3.0", "4.0"], "label": "Run"}],
        },
        "v_2": {"subset": "testing", "annotations": []},
    }
    text = json.dumps({"version": "1.3", "taxonomy": [], "database": database})
    found, line = read_one(write(tmp_path, "activity_net.json", text), caplog)
    assert rows(found) == [("v_1", 1.5, 9.0, "Jump", ""), ("v_1", 3.0, 4.0, "Run", "")]
    assert found.splits == {"v_1": "train", "v_2": "test"}
    assert found.watched == {"v_1": (Span(0, 82.75),), "v_2": ()}
    assert found.segments[1].place.endswith("'v_1', annotation 2")
    assert line.startswith("ActivityNet's JSON (left out: url): 2 segments, 2 videos")


def test_audacity(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    text = "2.150000\t2.150000\ta point\n3.400000\t6.100000\tgroom: head\n\\\t100.0\t200.0\n"
    found, line = read_one(write(tmp_path, "cage 1.txt", text), caplog)
    assert rows(found) == [("cage 1", 2.15, 2.15, "a point", ""), ("cage 1", 3.4, 6.1, "groom: head", "")]
    assert line.startswith("Audacity's labels (left out: 1 frequencies): 2 segments")


def test_subrip(tmp_path: Path) -> None:
    text = (
        "1\r\n00:00:01,500 --> 00:00:02,250 X1:40 X2:600\r\n<i>groom</i>\r\n\r\n2\r\n01:00:00,000 --> 01:00:01,000\r\n"
    )
    text += "{\\an8}rear\r\nhigh\r\n"
    found = read_segments(write(tmp_path, "a.srt", text))
    assert rows(found) == [("a", 1.5, 2.25, "groom", ""), ("a", 3600.0, 3601.0, "rear high", "")]
    assert found.segments[1].place.endswith("line 6")


def test_webvtt(tmp_path: Path) -> None:
    text = (
        "WEBVTT - by hand\nKind: captions\n\nNOTE a note\nof two lines\n\nSTYLE\n::cue { color: red }\n\n"
        "first\n00:01.500 --> 00:02.250 align:start\n<v.loud Anna>groom &amp; <b>rear</b></v>\n\n"
        "1:00:00.000 --> 1:00:01.000\n<v Anna>reach <v Ben>grab\n"
    )
    found = read_segments(write(tmp_path, "a.vtt", text))
    assert rows(found) == [
        ("a", 1.5, 2.25, "groom & rear", "Anna"),
        ("a", 3600.0, 3601.0, "grab", "Ben"),
        ("a", 3600.0, 3601.0, "reach", "Anna"),
    ]


def test_a_folder_is_all_its_files(tmp_path: Path) -> None:
    write(tmp_path, "a.srt", "1\n00:00:01,000 --> 00:00:02,000\ngroom\n")
    write(tmp_path, "b.srt", "")
    write(tmp_path, "b.mp4", "no annotations")
    found = read_segments(tmp_path)
    assert rows(found) == [("a", 1.0, 2.0, "groom", "")]
    assert found.videos == ["a", "b"]
