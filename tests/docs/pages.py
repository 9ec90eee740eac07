"""The pages of the documentation, and the examples in them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = (ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md")))

RUNNABLE = ("python", "console", "bash")
FILES = ("yaml", "toml", "json")
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_NOT_RUN = re.compile(r"<!-- not run: [^>]+ -->\n+\Z")
_FILE_NAME = re.compile(r"\A(?:#|//) ([\w.-]+\.(?:yaml|toml|json))\n")


@dataclass(frozen=True)
class Example:
    """One fenced block. Blocks of a page run in order, in one folder."""

    page: Path
    line: int
    """Of its first line in the page."""
    language: str
    text: str
    runs: bool
    """Every example runs but those under a comment that says why not."""
    output: str | None = None
    """What a Python example prints: the `text` block right below it."""

    @property
    def file_name(self) -> str | None:
        """Name of the file that a block of settings stands for: a comment in its first line."""
        found = _FILE_NAME.match(self.text) if self.language in FILES else None
        return found.group(1) if found else None


def name_of(page: Path) -> str:
    """The page as a reader of the repository calls it."""
    return page.relative_to(ROOT).as_posix()


def examples_of(page: Path) -> list[Example]:
    """All fenced blocks of a page."""
    text = page.read_text(encoding="utf-8")
    fences = list(_FENCE.finditer(text))
    found = []
    for number, fence in enumerate(fences):
        after = fences[number + 1] if number + 1 < len(fences) else None
        follows = after is not None and after.group(1) == "text" and not text[fence.end() : after.start()].strip()
        found.append(
            Example(
                page=page,
                line=text.count("\n", 0, fence.start(2)) + 1,
                language=fence.group(1),
                text=fence.group(2),
                runs=fence.group(1) in RUNNABLE and not _NOT_RUN.search(text, 0, fence.start()),
                output=after.group(2) if after is not None and follows else None,
            )
        )
    return found


def prose_of(page: Path) -> str:
    """The page without its fenced blocks."""
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def anchors_of(page: Path) -> set[str]:
    """Anchors that GitHub gives to the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", prose_of(page), re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", re.sub(r"[`*]", "", heading).lower()) for heading in headings)
    return {heading.strip().replace(" ", "-") for heading in plain}
