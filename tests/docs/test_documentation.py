"""The documentation tells the truth: its examples run and print what they say, its links and names lead somewhere."""

from __future__ import annotations

import ast
import contextlib
import doctest
import io
import linecache
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from raypipe import errors
from raypipe.config import PipelineConfig
from tests.docs import rules_reference
from tests.docs.pages import PAGES, ROOT, RUNNABLE, Example, anchors_of, examples_of, name_of, prose_of
from tests.docs.settings_reference import BEGIN, END, PAGE, every_setting, reference
from tests.warm import address

SALES = ROOT / "docs" / "examples" / "sales.csv"
ALIKE = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
WARM = ROOT / "tests" / "warm.py"
COMMAND_S = 120
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)|<(?:img|source)[^>]+(?:src|srcset)=\"([^\"]+)\"")


def pages_with_examples() -> list[Path]:
    return [page for page in PAGES if any(example.runs for example in examples_of(page))]


@pytest.fixture
def shell(tmp_path: Path) -> dict[str, str]:
    """An environment in which `raypipe` and `python` are those of this test run."""
    commands = tmp_path / ".commands"
    commands.mkdir()
    for name, arguments in (("raypipe", f'-S -E "{WARM}" "{address()}"'), ("python", "")):
        (commands / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {arguments} "$@"\n')
        (commands / name).chmod(0o755)
    # What a test runner leaves in the environment is none of a stranger's business.
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "RAYPIPE_", "PYTEST_"))}
    path = f"{commands}{os.pathsep}{os.environ['PATH']}"
    return {**kept, "PATH": path, "PYTHONPATH": str(ROOT), "COLUMNS": "100", "NO_COLOR": "1"}


SLOW = {"frames.md", "engines.md", "clusters.md", "tracking.md"}
"""Pages whose examples start Rays one after the other, or make a store of MLflow."""


def _marked(page: Path) -> Any:
    return pytest.param(page, marks=pytest.mark.slow) if page.name in SLOW else page


@pytest.mark.parametrize("page", [_marked(page) for page in pages_with_examples()], ids=name_of)
def test_examples_run_and_print_what_the_page_says(
    page: Path, tmp_path: Path, shell: dict[str, str], monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(SALES, tmp_path / "sales.csv")
    for example in examples_of(page):
        if example.file_name is not None:
            Path(example.file_name).write_text(example.text, encoding="utf-8")
        elif not example.runs:
            continue
        elif example.language == "python":
            if 'engine="ray"' in example.text or 'where="cluster"' in example.text:
                request.getfixturevalue("ray_session")
            check_python(example)
        else:
            check_commands(example, shell)


def check_python(example: Example) -> None:
    """Run the example as a script; what it prints is the `text` block below it."""
    name = f"<{name_of(example.page)}>"
    # Numbered as in the page, and known to tracebacks and to `inspect`, which pydantic asks for docstrings.
    source = "\n" * (example.line - 1) + example.text
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(source, name, "exec"), {"__name__": "__main__"})
    check_output(example, printed.getvalue(), example.output or "")


def check_commands(example: Example, shell: dict[str, str]) -> None:
    """Run each command: a line with a prompt in `console`, with its output below; the whole block in `bash`."""
    commands: list[tuple[str, str | None]]
    if example.language == "bash":
        commands = [(example.text, None)]
    else:
        pieces = re.split(r"^\$ ", example.text, flags=re.MULTILINE)[1:]
        commands = [(piece.split("\n", 1)[0], piece.split("\n", 1)[1]) for piece in pieces]
    for command, wanted in commands:
        done = subprocess.run(
            ["bash", "-c", command],
            env=shell,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=COMMAND_S,
            check=False,
        )
        if wanted is None:
            assert done.returncode == 0, f"{name_of(example.page)}:{example.line}: {command}\n{done.stdout}"
        else:
            check_output(example, done.stdout, wanted)


def check_output(example: Example, got: str, wanted: str) -> None:
    """Alike but for white space, and for what stands under `...`."""
    if not doctest.OutputChecker().check_output(wanted, got, ALIKE):
        place = f"{name_of(example.page)}:{example.line}"
        pytest.fail(f"{place}: the page says\n{wanted}\nand it prints\n{got}", pytrace=False)


def test_every_example_that_is_not_run_says_why() -> None:
    left_out = [one for page in PAGES for one in examples_of(page) if one.language in RUNNABLE and not one.runs]
    told = sum(page.read_text(encoding="utf-8").count("<!-- not run: ") for page in PAGES)
    assert len(left_out) == told, [(name_of(one.page), one.line) for one in left_out]
    known = {*RUNNABLE, "yaml", "toml", "json", "text"}
    odd = [(name_of(page), one.line) for page in PAGES for one in examples_of(page) if one.language not in known]
    assert not odd, f"fences of a language that no test knows: {odd}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    broken = []
    for match in _LINK.finditer(prose_of(page)):
        target = match.group(1) or match.group(2)
        if "://" in target or target.startswith("mailto:"):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (anchor and anchor not in anchors_of(file)):
            broken.append(target)
    assert not broken, f"{name_of(page)}: {broken}"


def test_every_page_can_be_reached_from_the_readme() -> None:
    seen: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in seen or page.suffix != ".md":
            continue
        seen.add(page)
        targets = (match.group(1) or match.group(2) for match in _LINK.finditer(prose_of(page)))
        waiting += [(page.parent / target.split("#")[0]).resolve() for target in targets if "://" not in target]
    assert set(PAGES) <= seen, [name_of(page) for page in set(PAGES) - seen]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_file_and_every_test_that_a_page_names_is_there(page: Path) -> None:
    named = re.findall(r"`((?:raypipe|tests|benchmarks|jobs|docs)/[\w./*-]*)(?:::(\w+))?`", prose_of(page))
    missing = []
    for path, test in named:
        files = list(ROOT.glob(path)) if path else []
        if not files or (test and f"def {test}(" not in files[0].read_text(encoding="utf-8")):
            missing.append(f"{path}::{test}" if test else path)
    assert not missing, f"{name_of(page)}: {missing}"


def test_the_reference_of_settings_is_that_of_the_code() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert f"{BEGIN}\n{reference()}\n{END}" in text, "out of date: python -m tests.docs.settings_reference writes it"
    for setting in every_setting():
        assert f"`{setting.rpartition('.')[2]}`" in text, setting


def test_the_table_of_rules_is_that_of_the_code() -> None:
    text = rules_reference.PAGE.read_text(encoding="utf-8")
    wanted = f"{rules_reference.BEGIN}\n{rules_reference.reference()}\n{rules_reference.END}"
    assert wanted in text, "out of date: python -m tests.docs.rules_reference writes it"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_setting_that_a_page_names_exists(page: Path) -> None:
    parts = [name for name in PipelineConfig.model_fields if any(one.startswith(f"{name}.") for one in every_setting())]
    text = page.read_text(encoding="utf-8")
    named = set(re.findall(rf"`((?:{'|'.join(parts)})\.(?!json|html|yaml)[a-z_0-9]+(?:\.[a-z_0-9]+)*)", text))
    named |= set(re.findall(r"(?:--set|-s) ([a-z_0-9.]+)=", text))
    known = {*every_setting(), *(setting.rpartition(".")[0] for setting in every_setting())}
    assert named <= known, sorted(named - known)


def test_every_error_and_every_exit_code_is_explained() -> None:
    text = (ROOT / "docs" / "guide" / "troubleshooting.md").read_text(encoding="utf-8")
    codes = {kind.code for kind in vars(errors).values() if isinstance(kind, type) and hasattr(kind, "code")}
    assert not [code for code in sorted(codes) if f"`{code}`" not in text]
    for code in (0, 1, 2, 3, 130):
        assert re.search(rf"^\| `{code}` \|", text, re.MULTILINE), code


def test_pictures_are_small_enough_for_a_repository() -> None:
    pictures = sorted((ROOT / "docs" / "images").glob("*.png"))
    assert pictures
    assert not [picture.name for picture in pictures if picture.stat().st_size > 400_000]


def test_every_message_in_troubleshooting_is_one_that_the_code_says() -> None:
    page = ROOT / "docs" / "guide" / "troubleshooting.md"
    said = "\n".join(spoken_texts())
    headings = re.findall(r"^### `(.+)`$", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert headings
    unsaid = [heading for heading in headings if not all(part.strip(" ") in said for part in heading.split("…"))]
    assert not unsaid


def spoken_texts() -> list[str]:
    """Texts in the code of raypipe, with a line break where a value goes."""
    found = []
    for path in (ROOT / "raypipe").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                found.append("".join(str(one.value) if isinstance(one, ast.Constant) else "\n" for one in node.values))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return found
