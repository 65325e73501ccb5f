"""`vidrep annotations`: from one format into another."""

from pathlib import Path

from running import one_line, vidrep

TABLE = "video,start,end,label,subject\na.mp4,1.5,2.25,groom,anna\na.mp4,0,60,,\n"


def test_a_table_becomes_a_document_of_elan(tmp_path: Path) -> None:
    table, document = tmp_path / "a.csv", tmp_path / "a.eaf"
    table.write_text(TABLE)
    code, stdout, stderr = vidrep("annotations", table, "-o", document)
    assert (code, stdout) == (0, f"{document}: 1 segments, 1 videos, 1 labels, 1 subjects, 60.0 s watched\n")
    assert stderr.startswith(f"'{table}': a table of video, start, end and label: 1 segments")
    assert vidrep("annotations", document, "-o", tmp_path / "b.csv", "-q")[0] == 0
    assert (tmp_path / "b.csv").read_text() == TABLE.replace("a.mp4,1.5,2.25,groom,anna\na.mp4,0,60,,\n", "") + (
        "a.mp4,0,60,,\na.mp4,1.5,2.25,groom,anna\n"
    )


def test_what_is_lost_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(TABLE)
    code, _, stderr = vidrep("annotations", tmp_path / "a.csv", "-o", tmp_path / "a.srt", "-q")
    assert code == 0
    assert stderr == (
        f"warning: '{tmp_path / 'a.srt'}': SubRip subtitles cannot hold all of it, lost: names of videos (here a); the "
        "subject of 1 segments; what was watched of 1 videos\n"
    )


def test_frames_at_a_rate(tmp_path: Path) -> None:
    (tmp_path / "a_labels.csv").write_text(",background,groom\n0,1,0\n1,0,1\n")
    arguments: list[object] = ["annotations", tmp_path / "a_labels.csv", "-o", tmp_path / "b.csv"]
    one_line(arguments, 3, "counts frames", "--features", "--frame-rate")
    code, _, stderr = vidrep(*arguments, "--frame-rate", "10")
    assert code == 0
    assert "a row a frame at 10 frames/s, behaviors groom" in stderr
    one_line([*arguments, "--frame-rate", "10"], 5, "b.csv exists", "--overwrite")
    one_line([*arguments, "--frame-rate", "10", "--features", "f.h5"], 2, "give one of the two")
    one_line([*arguments[:-1], tmp_path / "b.xyz", "--frame-rate", "10"], 2, "its ending names no format")
