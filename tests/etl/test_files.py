"""Which files a path names: nothing that should be there is passed over in silence."""

from __future__ import annotations

from pathlib import Path

import pytest

from raypipe.errors import ReadError
from raypipe.etl.files import list_files


def write(path: Path, text: str = "a\n1\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_links_to_folders_are_followed_once(tmp_path: Path) -> None:
    elsewhere = write(tmp_path / "elsewhere/x.csv").parent
    data = write(tmp_path / "data/a.csv").parent
    (data / "linked").symlink_to(elsewhere)
    (data / "linked again").symlink_to(elsewhere)
    (elsewhere / "back").symlink_to(data)
    (data / "self").symlink_to(data)
    assert list_files(data) == (data / "a.csv", data / "linked/x.csv")


def test_hidden_and_empty_files_are_left_out(tmp_path: Path) -> None:
    kept = write(tmp_path / "a.csv")
    write(tmp_path / ".b.csv")
    write(tmp_path / "_c/d.csv")
    write(tmp_path / "e.csv", "")
    write(tmp_path / "notes.md")
    assert list_files(tmp_path) == (kept,)
    assert list_files(str(tmp_path / "*.csv")) == (kept,)


@pytest.mark.parametrize("where", ["data", "data/*.csv", "data/gone.csv"])
def test_a_link_that_leads_nowhere_is_an_error_in_a_folder_in_a_pattern_and_alone(tmp_path: Path, where: str) -> None:
    write(tmp_path / "data/a.csv")
    (tmp_path / "data/gone.csv").symlink_to("nowhere.csv")
    with pytest.raises(ReadError, match=r"gone\.csv: is a symbolic link to 'nowhere\.csv', which leads nowhere"):
        list_files(str(tmp_path / where))


def test_files_without_a_known_ending_are_taken_where_no_other_is_there(tmp_path: Path) -> None:
    kept = write(tmp_path / "part-00000")
    (tmp_path / "gone").symlink_to("nowhere")
    assert list_files(tmp_path) == (kept,)
