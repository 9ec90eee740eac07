"""Images: pinned, of the Ray and Python that the cluster wants, and not below the floor."""

from __future__ import annotations

import re
from collections.abc import Iterator

from raypipe.cluster.lint.context import Context, below_floor
from raypipe.cluster.lint.documents import Document, Finding, Path
from raypipe.cluster.spec import RAY_FLOOR

_PYTHON = re.compile(r"(?:^|-)py3(\d+)(?:-|$)")
_OURS = re.compile(r"(?:^|-)ray(\d+\.\d+\.\d+)")
_RAYS = re.compile(r"^(\d+\.\d+\.\d+)")
_MOVING = ("latest", "nightly", "master", "main", "dev", "stable", "edge")
FLOOR = ".".join(map(str, RAY_FLOOR))


def check_image(document: Document, path: Path, image: object, context: Context) -> Iterator[Finding]:
    """Findings about one image reference."""
    if not isinstance(image, str) or not image:
        yield document.found("image-unpinned", path, f"image is {image!r}", "name an image with a tag or a digest")
        return
    if "@sha256:" in image:
        return
    name, tag = _split(image)
    if tag is None or tag.split("-")[0].split(".")[0] in _MOVING:
        pinned = f"{name}:VERSION or {name}@sha256:DIGEST"
        what = f"image {image!r} may be another one tomorrow"
        yield document.found("image-unpinned", path, what, f"pin it: {pinned}")
        return
    ray = ray_in(name, tag)
    if ray is None:
        return
    yield from check_ray(document, path, ray, context, f"image {image!r}")
    python = _PYTHON.search(tag)
    if python is None:
        what = f"image {image!r} does not say which Python it has; Ray changes the default between releases"
        wanted = context.versions.tag if context.versions else "py311"
        yield document.found("image-python", path, what, f"name it: {name}:{ray}-{wanted}-cpu")
    elif context.versions and f"3.{python.group(1)}" != context.versions.python:
        what = f"image {image!r} has Python 3.{python.group(1)}, and the spec says {context.versions.python}"
        yield document.found("image-python", path, what, f"use one with -{context.versions.tag}-")


def check_ray(document: Document, path: Path, ray: str, context: Context, where: str) -> Iterator[Finding]:
    """Findings about one version of Ray."""
    if below_floor(ray):
        what = f"{where} has Ray {ray}; below {FLOOR} data and web pages can run code"
        wanted = context.versions.ray if context.versions else FLOOR
        yield document.found("ray-below-floor", path, what, f"use Ray {wanted} or later")
    elif context.versions and ray != context.versions.ray:
        what = f"{where} has Ray {ray}, and the spec says {context.versions.ray}"
        yield document.found("ray-mismatch", path, what, f"use Ray {context.versions.ray} everywhere")


def ray_in(name: str, tag: str) -> str | None:
    """Version of Ray that an image's tag tells of; None if it tells of none.

    Examples
    --------
    >>> ray_in("rayproject/ray", "2.60.0-py311-cpu"), ray_in("registry/raypipe", "0.1.0-ray2.60.0-py311-cpu")
    ('2.60.0', '2.60.0')
    """
    ours = _OURS.search(tag)
    if ours:
        return ours.group(1)
    rays = _RAYS.match(tag) if name.split("/")[-1].startswith("ray") and "rayproject/" in name else None
    return rays.group(1) if rays else None


def _split(image: str) -> tuple[str, str | None]:
    name, colon, tag = image.rpartition(":")
    return (name, tag) if colon and "/" not in tag else (image, None)
