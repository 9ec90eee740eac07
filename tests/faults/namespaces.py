"""Two network namespaces with one cable between them, which can be pulled out. Needs root and iproute2."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

NEAR_IP, FAR_IP = "10.231.7.2", "10.231.7.3"


@dataclass(frozen=True)
class Cable:
    """The names of two namespaces, and of the far end of what joins them."""

    near: str
    far: str
    far_end: str


@contextlib.contextmanager
def joined_namespaces() -> Iterator[Cable]:
    """Two namespaces that see each other; skips the test where that cannot be had."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("network namespaces need root and iproute2")
    tag = f"rf{os.getpid() % 100_000}"
    cable = Cable(f"{tag}a", f"{tag}b", f"{tag}y")
    try:
        _ip("netns", "add", cable.near)
        _ip("netns", "add", cable.far)
        _ip("link", "add", f"{tag}x", "type", "veth", "peer", "name", cable.far_end)
        for space, end, address in ((cable.near, f"{tag}x", NEAR_IP), (cable.far, cable.far_end, FAR_IP)):
            _ip("link", "set", end, "netns", space)
            _ip("-n", space, "addr", "add", f"{address}/24", "dev", end)
            _ip("-n", space, "link", "set", end, "up")
            _ip("-n", space, "link", "set", "lo", "up")
    except subprocess.CalledProcessError as error:
        _remove(cable)
        pytest.skip(f"no network namespaces here: {error.stderr}")
    try:
        yield cable
    finally:
        _remove(cable)


def _remove(cable: Cable) -> None:
    for space in (cable.near, cable.far):
        subprocess.run(["ip", "netns", "del", space], capture_output=True, check=False)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], capture_output=True, text=True, check=True)
