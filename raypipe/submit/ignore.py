"""Which files of a folder are left at home: those that ignore files name, and those that never travel."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from raypipe._optional import require_extra

IGNORE_FILES = (".gitignore", ".rayignore", ".raypipeignore")
"""Read in every folder, in this order: what a later file says wins."""
SECRETS = (
    ".env", ".env.*", "*.env", ".envrc", "*.pem", "*.key", "*.p12", "*.pfx", "*.jks", "*.kdbx", "*.ppk",
    "id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*", ".ssh/", ".aws/", ".azure/", ".gcloud/", ".kube/", ".docker/",
    ".gnupg/", ".netrc", ".pgpass", ".pypirc", ".npmrc", ".git-credentials", "auth_token", "*service-account*.json",
    "*service_account*.json", "application_default_credentials.json",
)  # fmt: skip
"""Names under which people keep secrets."""
BALLAST = (
    ".git/", ".hg/", ".svn/", "venv/", ".venv/", ".venv-*/", "__pycache__/", "*.pyc", "*.egg-info/", ".mypy_cache/",
    ".ruff_cache/", ".pytest_cache/", ".hypothesis/", ".import_linter_cache/", ".cache/", ".tox/", ".nox/",
    ".ipynb_checkpoints/", "node_modules/", ".idea/", ".vscode/", ".DS_Store",
)  # fmt: skip
"""Names of what tools leave behind."""
DATA = (
    "*.csv", "*.tsv", "*.psv", "*.parquet", "*.arrow", "*.feather", "*.orc", "*.avro", "*.jsonl", "*.ndjson", "*.xls",
    "*.xlsx", "*.db", "*.sqlite", "*.duckdb", "*.zip", "*.tar", "*.gz", "*.bz2", "*.xz", "*.zst", "*.7z", "*.ckpt",
    "*.safetensors",
)  # fmt: skip
"""Names of data: left at home unless an ignore file takes one back (`!lookup.csv`), or the config names it."""
MARKS = {"pyvenv.cfg": "a virtual environment", "execution_summary.json": "a run of raypipe", "events.jsonl": "a run"}
"""A folder that holds one of these is left at home whole, whatever it is called."""


@dataclass(frozen=True)
class Rules:
    """What is left out below one folder: the list of what never travels, and the ignore files on the way down."""

    root: Path
    chain: tuple[tuple[Path, Any], ...]
    secrets: Any
    ballast: Any
    data: Any

    @classmethod
    def of(cls, root: Path) -> Rules:
        """The rules at the top of `root`."""
        require_extra("cluster", by="raypipe submit")
        return cls(root, (), _spec(SECRETS), _spec(BALLAST), _spec(DATA)).below(root)

    def below(self, folder: Path) -> Rules:
        """The rules in `folder`, with what its own ignore files add."""
        lines: list[str] = []
        for name in IGNORE_FILES:
            path = folder / name
            if path.is_file():
                lines += path.read_text(encoding="utf-8", errors="replace").splitlines()
        if not lines:
            return self
        return replace(self, chain=(*self.chain, (folder, _spec(lines))))

    def why_not(self, path: Path, is_dir: bool) -> str | None:
        """Why `path` is left out: `secret`, `ballast`, `ignored` or `data`; None if it travels."""
        name = path.name + ("/" if is_dir else "")
        if self.secrets.match_file(name):
            return "secret"
        if self.ballast.match_file(name):
            return "ballast"
        for folder, spec in reversed(self.chain):
            # As git has it: the ignore file nearest to a path that says anything about it decides.
            said = spec.check_file(path.relative_to(folder).as_posix() + ("/" if is_dir else "")).include
            if said is not None:
                return "ignored" if said else None
        return "data" if not is_dir and self.data.match_file(name) else None


def mark_of(folder: Path) -> str | None:
    """What a folder is that is left at home for what it holds; None for any other."""
    return next((what for name, what in MARKS.items() if (folder / name).is_file()), None)


def _spec(lines: Iterable[str]) -> Any:
    import pathspec

    return pathspec.GitIgnoreSpec.from_lines(lines)
