"""The files that ship, and copies of them with a fault planted."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from raypipe.cluster.lint.check import lint
from raypipe.cluster.lint.documents import Finding
from raypipe.cluster.spec import ClusterSpec

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "cluster"
SPEC = FOLDER / "cluster.yaml"


def shipped() -> ClusterSpec:
    """The spec that ships."""
    return ClusterSpec.load(SPEC)


@dataclass(frozen=True)
class Fault:
    """One change of a shipped file, and what must be found because of it."""

    rule: str
    file: str
    old: str
    """Text that stands in the file."""
    new: str
    """What stands there afterwards."""
    nth: int = 0
    """Which occurrence of `old` is changed."""
    at: str | None = None
    """Text in the line that must be named, searched from the change on; None: the first changed line itself."""
    before: str | None = None
    """Text in the line that must be named, searched backwards from the change."""
    also: tuple[str, ...] = ()
    """Rules that may find something, too."""

    @property
    def name(self) -> str:
        return f"{self.rule}: {self.file}: {self.new.strip()[:40] or 'without ' + self.old.strip()[:30]}"

    def plant(self, folder: Path) -> tuple[Path, int]:
        """Copy the shipped files, plant the fault; returns the file and the line that must be named."""
        shutil.copytree(FOLDER, folder / "cluster")
        path = folder / "cluster" / self.file
        text = path.read_text(encoding="utf-8")
        place = -1
        for _ in range(self.nth + 1):
            place = text.index(self.old, place + 1)
        changed = text[:place] + self.new + text[place + len(self.old) :]
        path.write_text(changed, encoding="utf-8")
        where = place + len(self.new) - len(self.new.lstrip())
        if self.at is not None:
            where = changed.index(self.at, place)
        elif self.before is not None:
            where = changed.rindex(self.before, 0, place)
        return path, changed.count("\n", 0, where) + 1

    def found(self, path: Path) -> list[Finding]:
        return lint([path])
