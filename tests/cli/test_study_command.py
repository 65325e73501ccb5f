"""`vidrep study` on the command line: what it prints, and one line for each mistake."""

import json
from pathlib import Path

import pytest
from running import one_line, vidrep
from small_features import circles, features_of


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory) -> Path:
    videos = circles(8)
    splits = {key: "test" if int(Path(key).stem) > 3 else "train" for key in videos}
    return features_of(tmp_path_factory.mktemp("features"), videos, splits).path


def test_it_prints_a_table_a_sentence_and_where_the_rest_is(features: Path, tmp_path: Path) -> None:
    words = ["study", features, "-o", tmp_path / "study", "--shots", "1,9", "--draws", 1, "--device", "cpu"]
    code, stdout, stderr = vidrep(*words)
    assert code == 0, stderr
    lines = stdout.splitlines()
    assert lines[0] == (
        "2 classes; 8 training videos, of which draws label k videos of each class; 8 test videos in 8 groups. 1 draw, "
        "1 seed of the LSTM from scratch"
    )
    assert lines[1].split() == ["accuracy", "per", "test", "video", "k", "=", "1"]
    assert [line.rsplit(maxsplit=1)[0] for line in lines[2:5]] == ["mean feature", "ordered bins", "LSTM from scratch"]
    assert lines[5].startswith("By accuracy with k labeled videos of each class, the LSTM from scratch is ")
    assert lines[6] == f"{tmp_path / 'study'}: table.md, table.csv and curves.png have intervals and differences"
    assert "warning: k = 9 is left out: class 'left' has 4 videos" in stderr
    assert "k counts labeled videos of each class; 3 methods on 1 draw: 3 cells" in stderr
    content = json.loads(vidrep(*words, "--json")[1])
    assert (content["num_done"], len(content["entries"]), content["by"]) == (3, 3, "videos")
    one_line([*words[:-4], "--draws", 2], 5, "is a study of other settings: draws is 1, not 2")


def test_what_cannot_be_is_one_line(features: Path, tmp_path: Path) -> None:
    words: list[object] = ["study", features, "-o", tmp_path / "study"]
    one_line([*words, "--shots", "1,two"], 2, "--shots 1,two: 'two' is neither a number nor all")
    one_line([*words, "--by", "persons"], 2, "'persons': allowed are auto, videos and groups")
    one_line([*words, "--shots", "9"], 3, "no k of 9 is possible: class 'left' has 4 videos")
    one_line([*words, "--from", tmp_path / "none"], 3, str(tmp_path / "none"))
    (tmp_path / "labels.csv").write_text("video,label\nelsewhere/a.npy,left\n")
    one_line([*words, "--labels", tmp_path / "labels.csv"], 3, "none of the 1 annotated videos is among the 16")
    assert not (tmp_path / "study").exists()
