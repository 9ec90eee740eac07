"""What travels, and what never does. Nothing here needs a cluster."""

from __future__ import annotations

import io
import json
import os
import zipfile
from pathlib import Path

import pytest

from raypipe.errors import ConfigError
from raypipe.submit.package import ENTRY, EXPECTED, MAX_BYTES, Manifest, gather, pack

EXPECT = {"python": "3.11", "ray": "2.60.0", "raypipe": "0.1.0"}
KEY = b"AKIA" + b"ABCDEFGHIJKLMNOP"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A working folder with one of each kind of file."""
    folder = tmp_path / "project"
    for name in ("conf/run.yaml", "steps/clean.py", "steps/__pycache__/clean.pyc", "README.md"):
        write(folder / name)
    return folder


def write(path: Path, content: bytes = b"x\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def names(manifest: Manifest) -> list[str]:
    return [file.name for file in manifest.files]


def test_code_and_settings_travel_and_caches_stay(root: Path) -> None:
    assert names(gather(root)) == ["README.md", "conf/run.yaml", "steps/clean.py"]


@pytest.mark.parametrize(
    "name",
    [".env", ".env.local", "prod.env", "a/.env", "server.pem", "tls.key", "id_rsa", "id_ed25519.pub",
     ".aws/credentials", ".ssh/config", ".netrc", "my-service-account-1.json", ".kube/config", "auth_token"],
)  # fmt: skip
def test_a_file_that_holds_secrets_by_its_name_never_travels(root: Path, name: str) -> None:
    write(root / ".raypipeignore", b"!*\n")  # nothing takes it back
    write(root / name)
    manifest = gather(root)
    assert name not in names(manifest)
    assert "secret" in {why for _, why in manifest.left_out}


@pytest.mark.parametrize("name", [".git/config", ".venv/lib/x.py", "node_modules/a/i.js", ".mypy_cache/x.json"])
def test_what_tools_leave_behind_stays_at_home(root: Path, name: str) -> None:
    write(root / name)
    assert name not in names(gather(root))


@pytest.mark.parametrize(
    ("mark", "why"), [("pyvenv.cfg", "a virtual environment"), ("execution_summary.json", "a run of raypipe")]
)
def test_a_folder_is_known_by_what_it_holds(root: Path, mark: str, why: str) -> None:
    write(root / "odd name" / mark)
    write(root / "odd name" / "inside.py")
    manifest = gather(root)
    assert "odd name/inside.py" not in names(manifest)
    assert ("odd name", why) in manifest.left_out


def test_the_folder_of_runs_stays_at_home(root: Path) -> None:
    write(root / "results" / "notes.txt")
    assert "results/notes.txt" not in names(gather(root, runs=root / "results"))


@pytest.mark.parametrize("ignore", [".gitignore", ".rayignore", ".raypipeignore"])
def test_each_ignore_file_is_honoured_in_every_folder(root: Path, ignore: str) -> None:
    write(root / ignore, b"/top.txt\nbuilt/\n")
    write(root / "deep" / ignore, b"*.log\n!kept.log\n")
    for name in ("top.txt", "deep/top.txt", "built/a.py", "deep/built/b.py", "deep/a.log", "deep/kept.log", "a.log"):
        write(root / name)
    got = names(gather(root))
    assert {"deep/top.txt", "deep/kept.log", "a.log"} <= set(got)
    assert not {"top.txt", "built/a.py", "deep/built/b.py", "deep/a.log"} & set(got)


def test_data_stays_at_home_unless_it_is_taken_back_or_named(root: Path) -> None:
    for name in ("big.parquet", "lookup.csv", "data/sales.csv", "data/other.csv"):
        write(root / name)
    write(root / ".gitignore", b"data/\n")
    write(root / ".raypipeignore", b"!lookup.csv\n")
    got = names(gather(root, wanted=frozenset({root / "data" / "sales.csv"})))
    assert {"lookup.csv", "data/sales.csv"} <= set(got)
    assert not {"big.parquet", "data/other.csv"} & set(got)


def test_a_file_of_two_gigabytes_is_refused_by_name_before_anything_is_read(root: Path) -> None:
    with (root / "weights.bin").open("wb") as file:
        file.truncate(2 << 30)  # sparse: it takes no room, and would take minutes to compress
    with pytest.raises(
        ConfigError, match=r"2048\.0 MiB.*Ray takes 100\.0 MiB.*largest are weights\.bin \(2048\.0 MiB\)"
    ):
        gather(root)


def test_many_files_that_are_too_much_together_are_refused(root: Path) -> None:
    for number in range(5):
        with (root / f"part{number}.bin").open("wb") as file:
            file.truncate(MAX_BYTES // 4)
    with pytest.raises(ConfigError, match=r"part0\.bin \(23\.8 MiB\), part1\.bin"):
        gather(root)


def test_links_out_of_the_folder_are_refused_by_name(root: Path, tmp_path: Path) -> None:
    write(tmp_path / "outside.py")
    (root / "steps" / "borrowed.py").symlink_to("../../outside.py")
    (root / "elsewhere").symlink_to(tmp_path)
    with pytest.raises(
        ConfigError, match=r"elsewhere is a link out of the folder.*steps/borrowed\.py is a link out of"
    ):
        gather(root)


@pytest.mark.parametrize(("target", "said"), [("nowhere.py", "leads nowhere"), ("..", "a folder that it lies in")])
def test_links_that_lead_nowhere_or_in_a_circle_are_refused(root: Path, target: str, said: str) -> None:
    (root / "steps" / "odd").symlink_to(target)
    with pytest.raises(ConfigError, match=f"steps/odd is a link .*{said}"):
        gather(root)


def test_links_within_the_folder_become_copies(root: Path) -> None:
    (root / "alias.py").symlink_to("steps/clean.py")
    (root / "again").symlink_to("steps")
    assert {"alias.py", "again/clean.py"} <= set(names(gather(root)))


def test_a_link_that_is_ignored_is_no_trouble(root: Path) -> None:
    (root / "elsewhere").symlink_to("/usr")
    write(root / ".raypipeignore", b"/elsewhere/\n")
    assert "elsewhere" not in names(gather(root))


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"a = 1\nkey = '" + KEY + b"'\n", "an AWS access key"),
        (b"\n-----BEGIN RSA " + b"PRIVATE KEY-----\nabc\n", "a private key"),
        (b"\nx = 'ghp_" + b"a" * 36 + b"'", "a GitHub token"),
    ],
)
def test_a_secret_in_a_file_is_refused_by_file_and_line_and_never_repeated(
    root: Path, content: bytes, kind: str
) -> None:
    write(root / "steps" / "load.py", content)
    with pytest.raises(ConfigError, match=rf"steps/load\.py, line 2, holds {kind}") as caught:
        gather(root)
    assert KEY.decode() not in str(caught.value)


def test_all_that_is_wrong_is_told_at_once(root: Path) -> None:
    write(root / "a.py", KEY)
    (root / "link").symlink_to("/etc/hostname")
    with pytest.raises(ConfigError, match=r"link is a link out.*a\.py, line 1"):
        gather(root)


def test_the_same_content_makes_the_same_bytes(root: Path, tmp_path: Path) -> None:
    one = pack(gather(root), EXPECT)
    for path in root.rglob("*"):
        os.utime(path, (1, 1))
    assert pack(gather(root), EXPECT) == one
    write(root / "README.md", b"other\n")
    assert pack(gather(root), EXPECT)[0] != one[0]


def test_a_package_holds_its_entry_point_and_the_versions_that_it_expects(root: Path) -> None:
    write(root / "go.sh").chmod(0o755)
    name, content = pack(gather(root), EXPECT)
    assert name.startswith("raypipe_pkg_")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert json.loads(archive.read(EXPECTED)) == EXPECT
        compile(archive.read(ENTRY), ENTRY, "exec")
        assert archive.getinfo("go.sh").external_attr >> 16 == 0o100755


def test_a_name_that_raypipe_needs_itself_is_refused(root: Path) -> None:
    write(root / ENTRY)
    with pytest.raises(ConfigError, match=f"{ENTRY} is a name that raypipe puts into the package itself"):
        gather(root)


def test_the_source_of_raypipe_is_added_where_that_is_asked_for(root: Path) -> None:
    got = names(gather(root, with_raypipe=True))
    assert {"raypipe/__init__.py", "raypipe/py.typed", "raypipe/cli/job.py"} <= set(got)
    assert not [name for name in got if "__pycache__" in name]


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nowhere is not there; name it with --working-dir"):
        gather(tmp_path / "nowhere")
