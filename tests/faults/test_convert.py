"""A conversion on a cluster whose node is lost in the middle writes what one process writes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from raypipe.config import PipelineConfig
from raypipe.pipeline.convert import convert

ROWS = 40_000
CHILD = """
import json
import sys
from raypipe.config import EngineConfig, PipelineConfig
from raypipe.pipeline.convert import convert
from tests.faults.nodes import Nodes

source, dest = sys.argv[1:]
nodes = Nodes()
try:
    kept, lost = nodes.add(1), nodes.add(1)
    done = []
    def watch(progress):
        if progress.parts_done >= 3 and not done:
            done.append(progress.parts_done)
            nodes.kill(lost)
    engine = EngineConfig(engine="ray", address=nodes.address, block_mib=0.05, min_workers=2, max_workers=2)
    made = convert(PipelineConfig(data_source=source, engine=engine), dest, on_progress=watch)
    print(json.dumps({"killed_at": done, "rows": made.rows_written, "engine": made.engine}))
finally:
    nodes.close()
"""


@pytest.mark.slow
@pytest.mark.parametrize("dest", ["out.parquet", "out/"])
def test_a_node_lost_in_a_conversion_changes_nothing(tmp_path: Path, dest: str) -> None:
    source = tmp_path / "in.csv"
    source.write_text("id,n,name\n" + "".join(f"{row},{row % 50},name {row * 7919 % 997}\n" for row in range(ROWS)))
    child = subprocess.run(
        [sys.executable, "-c", CHILD, str(source), f"{tmp_path}/{dest}"],
        capture_output=True, text=True, timeout=300, check=False, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert child.returncode == 0, child.stderr[-3000:]
    said = json.loads(child.stdout.splitlines()[-1])
    assert said["rows"] == ROWS
    assert said["killed_at"], "the conversion was over before the node was lost"
    alone = tmp_path / "alone"
    alone.mkdir()
    engine = {"engine": "inline", "block_mib": 0.05}
    convert(PipelineConfig.of({"data_source": source, "engine": engine}), f"{alone}/{dest}")
    assert _content(tmp_path / dest) == _content(alone / dest)
    assert not list(tmp_path.glob(".tmp-*"))


def _content(path: Path) -> dict[str, bytes]:
    files = [path] if path.is_file() else sorted(one for one in path.rglob("*") if one.is_file())
    return {one.relative_to(path).as_posix(): one.read_bytes() for one in files}
