"""Checks of Dockerfiles."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from raypipe.cluster.lint.commands import check_install
from raypipe.cluster.lint.context import Context
from raypipe.cluster.lint.documents import Document, Finding
from raypipe.cluster.lint.images import check_image
from raypipe.cluster.lint.secrets import check_line
from raypipe.cluster.names import did_you_mean, words

KNOWN = words(
    "ADD ARG CMD COPY ENTRYPOINT ENV EXPOSE FROM HEALTHCHECK LABEL MAINTAINER ONBUILD RUN SHELL "
    "STOPSIGNAL USER VOLUME WORKDIR"
)
_NAMED_SECRET = re.compile(r"(?i)\b\w*(?:password|passwd|secret|token|api_?key|access_?key)\w*\s*[= ]\s*(?!\$)\S+")


class Instruction(NamedTuple):
    """One instruction, with the lines that it goes on over."""

    line: int
    name: str
    rest: str


def check_dockerfile(file: str, text: str, context: Context) -> Iterator[Finding]:
    """All findings about a Dockerfile."""
    for number, line in enumerate(text.splitlines(), 1):
        yield from check_line(file, number, line)
    stages: list[list[Instruction]] = []
    for one in instructions(text):
        here = Document(file, None, {}, one.line)
        if one.name not in KNOWN:
            yield here.found(
                "docker-instruction", (), f"there is no instruction {one.name}", did_you_mean(one.name, KNOWN)
            )
        elif one.name == "FROM":
            names = {stage[0].rest.split()[-1] for stage in stages}
            stages.append([one])
            image = one.rest.split()[0] if one.rest else ""
            if image not in names and image != "scratch":
                yield from check_image(here, (), image, context)
        elif stages:
            stages[-1].append(one)
        yield from _check_instruction(here, one, context)
    for stage in stages:
        yield from _check_stage(file, stage)


def instructions(text: str) -> Iterator[Instruction]:
    """Instructions of a Dockerfile; lines that go on are joined.

    Examples
    --------
    >>> [tuple(one) for one in instructions("FROM a:1\\nRUN b \\\\\\n && c")]
    [(1, 'FROM', 'a:1'), (2, 'RUN', 'b && c')]
    """
    begun = 0
    parts: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if stripped.startswith("#") or (not stripped and not parts):
            continue
        begun = begun if parts else number
        goes_on = stripped.endswith("\\")
        parts.append(stripped.rstrip("\\").strip())
        if not goes_on:
            name, _, rest = " ".join(parts).partition(" ")
            yield Instruction(begun, name.upper(), rest.strip())
            parts = []


def _check_instruction(here: Document, one: Instruction, context: Context) -> Iterator[Finding]:
    if one.name in ("ENV", "ARG") and _NAMED_SECRET.search(one.rest):
        what = f"{one.name} holds a secret, which everybody who has the image can read"
        yield here.found("secret-value", (), what, "RUN --mount=type=secret, or a secret when the container starts")
    if one.name == "ADD" and "://" in one.rest and "--checksum" not in one.rest:
        what = "ADD takes whatever lies at that address today"
        yield here.found("docker-add", (), what, "ADD --checksum=sha256:… URL, or COPY a file of the repository")
    if one.name == "RUN":
        yield from check_install(here, (), one.rest, context)
        if re.search(r"\b(?:curl|wget)\b[^|]*\|\s*(?:sudo\s+)?(?:ba)?sh\b", one.rest):
            yield here.found(
                "docker-pipe", (), "runs a script from the network unseen", "download, check its hash, then run"
            )
        if re.search(r"\bsudo\b", one.rest):
            yield here.found(
                "docker-sudo", (), "sudo in an image", "USER root for this step, then USER 1000", "warning"
            )


def _check_stage(file: str, stage: list[Instruction]) -> Iterator[Finding]:
    """Rights and health of what a stage ends as; stages that only build have neither CMD nor ENTRYPOINT."""
    if not any(one.name in ("CMD", "ENTRYPOINT") for one in stage):
        return
    users = [one for one in stage if one.name == "USER"]
    if not users or users[-1].rest.split(":")[0] in ("root", "0"):
        there = Document(file, None, {}, users[-1].line if users else stage[0].line)
        yield there.found("root-container", (), "the container runs as root", "USER 1000:100")
    if not any(one.name == "HEALTHCHECK" and one.rest.upper() != "NONE" for one in stage):
        there = Document(file, None, {}, stage[0].line)
        yield there.found("no-probe", (), "nobody asks whether the container is well", "HEALTHCHECK CMD …", "warning")
