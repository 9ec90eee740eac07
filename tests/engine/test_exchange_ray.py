"""Exchanges on Ray give what they give in this process, quietly, and what they make goes on through the engine."""

from __future__ import annotations

import gc
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any, get_args

import numpy as np
import pyarrow as pa
import pytest

from raypipe.blocks.joins import How
from raypipe.blocks.order import Order
from raypipe.config import EngineConfig
from raypipe.engine import exchange
from raypipe.engine.frame import Frame
from raypipe.engine.localframe import LocalFrame, as_frame
from raypipe.engine.operations import SortRows
from raypipe.engine.rayengine import RayEngine
from raypipe.engine.rayframe import RayFrame, held_bytes
from raypipe.engine.run import Pass
from raypipe.engine.session import Session
from raypipe.engine.stored import StoredBlocks
from raypipe.errors import ReadError, SchemaError, StageFailedError
from raypipe.stage import Plan
from tests.engine.exchanges import lost_ref, on_ray, plain
from tests.engine.stages import AddTo, Numbers, SumX
from tests.hostile import KINDS

pytestmark = pytest.mark.usefixtures("ray_session")


@pytest.fixture(params=["on one worker", "by range", "beside a small side"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each way in turn: sizes that count as small are chosen so that a table of a few KB takes it."""
    small = {"on one worker": exchange.SMALL_BYTES, "by range": -1, "beside a small side": 20_000}
    monkeypatch.setattr(exchange, "SMALL_BYTES", small[request.param])
    return str(request.param)


def hostile_table(rows: int, seed: int) -> pa.Table:
    """A column of each kind, with keys of few values under names that are patterns."""
    rng = np.random.default_rng(seed)
    made: dict[str, Any] = {"": list(range(rows))}
    for number, (kind, values) in enumerate(KINDS.values()):
        cells = [None if place == len(values) else values[place] for place in rng.integers(0, len(values) + 1, rows)]
        made["^a.*$" if kind == pa.float64() else f"{'*' * number} {kind}"] = pa.array(cells, kind)
    made["*"] = pa.array([None if value == 9 else value for value in rng.integers(0, 10, rows).tolist()], pa.int64())
    return as_frame(pa.table(made)).to_arrow()


LARGE, SMALL = hostile_table(400, 1), hostile_table(12, 2)
ACTS: dict[str, Callable[[Frame, Frame], Frame]] = {
    "sort": lambda left, right: left.sort(["^a.*$", "*"], [True, False], nulls_last=False),
    "group": lambda left, right: left.group_by(["*", "^a.*$"]).agg(
        rows="rows", first=("", "first"), mean=("", "mean"), middle=("", "median"), different=("^a.*$", "n_unique")
    ),
    "blocks": lambda left, right: left.repartition(blocks=7),
    "rows": lambda left, right: left.repartition(rows=60),
} | {
    f"join {how}": lambda left, right, how=how: left.join(right, ["^a.*$", "*"], how)  # type: ignore[misc]  # a default
    for how in get_args(How)
}


@pytest.mark.parametrize("act", ACTS)
def test_an_exchange_on_ray_equals_one_in_this_process(act: str, way: str) -> None:
    left, right = as_frame(LARGE), as_frame(SMALL)
    wanted = ACTS[act](left, right)
    made = ACTS[act](on_ray(LARGE, 100, 100, 101, 350), on_ray(SMALL, 5))
    assert isinstance(made, RayFrame)
    assert made.schema == wanted.schema == made.to_arrow().schema
    assert plain(made.to_arrow()) == plain(wanted.to_arrow())
    if act in ("blocks", "rows"):
        assert [block.num_rows for block in made.iter_blocks()] == [block.num_rows for block in wanted.iter_blocks()]
    if act.startswith("join"):
        turned, again = ACTS[act](right, left), ACTS[act](on_ray(SMALL, 5), on_ray(LARGE, 250))
        assert plain(again.to_arrow()) == plain(turned.to_arrow())


def test_tables_of_no_rows_pass_through(way: str) -> None:
    nothing = on_ray(LARGE.slice(0, 0))
    for act in ACTS.values():
        assert (
            act(nothing, nothing)
            .to_arrow()
            .equals(act(as_frame(LARGE.slice(0, 0)), as_frame(LARGE.slice(0, 0))).to_arrow())
        )
    assert len(on_ray(SMALL).join(nothing, "*", "left")) == SMALL.num_rows


def test_a_frame_whose_blocks_are_not_kept_is_read_by_the_tasks(way: str) -> None:
    plan = Plan(source=Numbers(rows=500, per_part=60), stages=(AddTo(amount=1),))
    for config in (EngineConfig(), EngineConfig(memory_gib=1e-6)):
        frame = RayEngine(config).run(Pass(plan, keep=True)).frame
        assert frame is not None
        made = frame.sort("x", descending=True)
        assert made.to_arrow()["x"].to_pylist() == list(range(500, 0, -1))


def test_the_result_streams_into_further_passes_and_exchanges(way: str) -> None:
    made = on_ray(LARGE, 150).sort("*").map_blocks(lambda block: block.select([""]).rename_columns(["x"]))
    engine = RayEngine(EngineConfig())
    for _ in range(2):  # kept blocks, then blocks made again
        work = Pass(
            Plan(source=made.source, prefix=made.prefix, stages=(AddTo(amount=1), SumX())), frame=made, keep=True
        )
        outcome = engine.run(work)
        assert outcome.results["SumX"]["sum"] == sum(range(1, 401))
        made.release()
    assert outcome.frame is not None
    assert outcome.frame.sort("x").head(3)["x"].to_pylist() == [1, 2, 3]


def test_a_frame_of_this_process_joins_one_on_ray(way: str) -> None:
    wanted = as_frame(LARGE).join(SMALL, "*")
    for made in (on_ray(LARGE, 100).join(SMALL, "*"), as_frame(LARGE).join(on_ray(SMALL), "*")):
        assert isinstance(made, RayFrame)
        assert plain(made.to_arrow()) == plain(wanted.to_arrow())


# ---- manners --------------------------------------------------------------------------------------------------------


def test_nothing_is_printed_and_ray_data_is_left_as_it_was(
    way: str, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    from ray.data import DataContext

    before = DataContext.get_current()
    set_by_user = before.enable_progress_bars, before.execution_options.preserve_order, before.shuffle_strategy
    handlers = [(handler, list(handler.filters)) for handler in logging.getLogger("ray.data").handlers]
    capfd.readouterr()
    on_ray(LARGE, 100).sort("*").group_by("*").agg(n="rows")
    assert capfd.readouterr() == ("", "")
    after = DataContext.get_current()
    assert after is before
    assert (after.enable_progress_bars, after.execution_options.preserve_order, after.shuffle_strategy) == set_by_user
    assert [(handler, list(handler.filters)) for handler in logging.getLogger("ray.data").handlers] == handlers
    assert not [record for record in caplog.records if record.levelno > logging.INFO]


def test_blocks_of_a_result_count_as_held_until_nobody_wants_them(ray_session: Session) -> None:
    gc.collect()
    before = held_bytes(ray_session)
    made = on_ray(LARGE).sort("*")
    derived = made.map_blocks(lambda block: block)
    derived.release()
    assert held_bytes(ray_session) - before >= made.parts[0].bytes > 0
    del made
    assert plain(derived.to_arrow()) == plain(as_frame(LARGE).sort("*").to_arrow())
    del derived
    gc.collect()
    assert held_bytes(ray_session) == before


def test_an_error_of_a_task_comes_back_as_it_was(way: str) -> None:
    huge = on_ray(pa.table({"g": [1] * 40, "n": [2**62] * 40}), 10)
    with pytest.raises(SchemaError, match="the sum of 'n' does not fit into Int64"):
        huge.group_by("g").agg(n=("n", "sum"))


class EndsItsWorker(SortRows):
    """A sort that no worker survives."""

    def at_once(self, *tables: pa.Table) -> pa.Table:
        os._exit(1)


@pytest.mark.slow
def test_a_range_that_no_worker_survives_ends_after_a_few_tries(way: str) -> None:
    frame = on_ray(LARGE, 100)
    frame._engine.config = EngineConfig(max_task_retries=1)
    operation = EndsItsWorker(LARGE.schema, ("*",), Order((False,)))
    with pytest.raises(StageFailedError, match="stage sort failed on part .all.: .*(lost its worker|died|crashed)"):
        frame._exchanged(operation, (), LARGE.schema)


def test_blocks_that_are_lost_for_good_are_told_and_what_to_do(ray_session: Session) -> None:
    made = on_ray(LARGE, 100).sort("*")
    assert isinstance(made.source, StoredBlocks)
    parts = tuple(part.replace(ref=lost_ref(ray_session)) for part in made.source.stored)
    made = RayFrame(made._engine, Plan(source=made.source.replace(stored=parts)), parts, made.kept, len(made))
    lost = r"\(sort\): block 0000000/sort is lost, and Ray cannot rebuild it: .*; do the sort again"
    with pytest.raises(ReadError, match=lost):
        made.to_arrow()
    with pytest.raises(ReadError, match=lost):
        made.map_blocks(lambda block: block)
    with pytest.raises(ReadError, match=lost):
        made.group_by("*").agg(n="rows")


def test_blocks_of_a_ray_that_has_ended_are_told_apart_from_those_of_the_next(ray_session: Session) -> None:
    made = on_ray(LARGE, 100).sort("*")
    assert isinstance(made.source, StoredBlocks)
    elsewhere = tuple(part.replace(place="another/01000000") for part in made.source.stored)
    old = RayFrame(made._engine, Plan(source=made.source.replace(stored=elsewhere)), elsewhere, made.kept, len(made))
    for act in (old.to_arrow, lambda: old.sort("*")):
        with pytest.raises(ReadError, match="was in the object store of a Ray that has ended; do the sort again"):
            act()


# ---- datasets of Ray Data -------------------------------------------------------------------------------------------


@pytest.fixture
def data() -> Iterator[Any]:
    """Ray Data, quiet."""
    from raypipe.engine.raydata import quiet

    with quiet():
        import ray.data

        yield ray.data


def test_a_dataset_has_the_rows_and_types_of_its_frame_and_comes_back_as_it_went(data: Any) -> None:
    table = LARGE.drop_columns([name for name in LARGE.column_names if pa.types.is_null(LARGE.schema.field(name).type)])
    for frame in (on_ray(table, 100, 250), as_frame(table)):
        dataset = frame.to_ray_dataset()
        assert dataset.schema().names == table.column_names
        assert dataset.count() == 400
        back = as_frame(dataset)
        assert isinstance(back, RayFrame)
        assert back.schema == table.schema
        assert plain(back.to_arrow()) == plain(table)


def test_a_dataset_that_a_user_worked_on_becomes_a_frame(data: Any) -> None:
    dataset = (
        on_ray(LARGE, 100)
        .to_ray_dataset()
        .map_batches(lambda batch: batch.slice(0, 3).select(["", "*"]), batch_format="pyarrow")
    )
    assert sorted(as_frame(dataset).to_arrow()[""].to_pylist()) == [0, 1, 2, 100, 101, 102]
    frames = data.from_pandas([pa.table({"x": [1, None]}).to_pandas(), pa.table({"x": ["a"]}).to_pandas()])
    with pytest.raises(SchemaError, match="frame: .*types that do not fit together"):
        as_frame(frames)
    mixed = data.from_arrow([pa.table({"x": [1, 2]}), pa.table({"x": pa.nulls(1)}), pa.table({"x": [0.5]})])
    assert as_frame(mixed).to_arrow()["x"].to_pylist() == [1.0, 2.0, None, 0.5]
    empty = as_frame(data.from_arrow(pa.table({"x": pa.array([], pa.string())})))
    assert empty.to_arrow().schema == pa.schema([("x", pa.large_string())])
    with pytest.raises(SchemaError, match="a name that raypipe keeps"):
        as_frame(data.from_arrow(pa.table({"__row__": [1]})))
    lossy = data.from_arrow([pa.table({"x": [2**53 + 1]}), pa.table({"x": [0.5]})])
    with pytest.raises(SchemaError, match="column 'x' does not become double everywhere"):
        as_frame(lossy)


# ---- machines with little -------------------------------------------------------------------------------------------

_ONE_CPU = """
import sys
import pyarrow as pa
from raypipe.config import EngineConfig
from raypipe.engine import exchange
from raypipe.engine.run import Pass
from raypipe.engine.session import open_session
from raypipe.engine.rayengine import RayEngine
from raypipe.stage import Plan
from tests.engine.stages import Numbers

session = open_session(None, cpus=1)
exchange.SMALL_BYTES = -1
frame = RayEngine(EngineConfig()).run(Pass(Plan(source=Numbers(rows=900)), keep=True)).frame
made = frame.sort("word").join(frame.group_by("word").agg(n="rows"), "word")
sys.exit(made.to_arrow()["n"].to_pylist() != [300] * 900)
"""


@pytest.mark.slow
def test_one_cpu_and_warm_workers_do_not_wait_for_each_other() -> None:
    done = subprocess.run([sys.executable, "-c", _ONE_CPU], capture_output=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr.decode()[-2000:]


_LITTLE_STORE = """
import sys
import numpy as np, pyarrow as pa, psutil
import ray
ray.init(address="local", num_cpus=2, object_store_memory=100 << 20, include_dashboard=False, log_to_driver=False)
from raypipe.config import EngineConfig
from raypipe.engine.run import Pass
from raypipe.engine.rayengine import RayEngine
from raypipe.stage import Plan
from tests.engine.exchanges import Noise

frame = RayEngine(EngineConfig()).run(Pass(Plan(source=Noise(parts_made=24)), keep=True)).frame
made = frame.sort("x")
grew = psutil.Process().memory_info().rss
last, rows = -1, 0
for block in made.iter_blocks():
    x = block["x"].to_numpy()
    assert (np.diff(x) >= 0).all() and x[0] >= last
    last, rows = x[-1], rows + len(x)
print(rows == len(frame), len(made.parts) > 1, grew < 600 << 20)
"""


@pytest.mark.slow
def test_a_table_larger_than_the_object_store_is_sorted(tmp_path: Any) -> None:
    environment = {**os.environ, "RAY_TMPDIR": "/tmp", "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-c", _LITTLE_STORE]
    done = subprocess.run(command, capture_output=True, timeout=400, check=False, env=environment)
    assert done.stdout.decode().split()[-3:] == ["True"] * 3, done.stderr.decode()[-2000:]


_NODE_LOST = """
import os
os.environ["RAY_AUTH_MODE"] = "disabled"
from ray.cluster_utils import Cluster

store = {"object_store_memory": 200 << 20}
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False, **store})
nodes = [cluster.add_node(num_cpus=2, **store) for _ in range(2)]
cluster.wait_for_nodes()
from raypipe.config import EngineConfig
from raypipe.engine.run import Pass
from raypipe.engine.rayengine import RayEngine
from raypipe.stage import Plan
from tests.engine.exchanges import Noise
import ray

config = EngineConfig(address=cluster.address, workers=2)
frame = RayEngine(config).run(Pass(Plan(source=Noise(parts_made=12)), keep=True)).frame
made = frame.sort("x")
places = ray.experimental.get_object_locations([part.ref for part in made.source.stored]).values()
held = {node: sum(node.node_id in place["node_ids"] for place in places) for node in nodes}
cluster.remove_node(max(nodes, key=held.get), allow_graceful=False)
again = made.to_arrow()["x"].to_numpy()
print(max(held.values()) > 0, len(again) == len(frame), (again[1:] >= again[:-1]).all())
ray.shutdown()
cluster.shutdown()
"""


@pytest.mark.slow
def test_blocks_of_a_node_that_is_lost_are_made_again() -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN"):
        environment.pop(name, None)
    done = subprocess.run(
        [sys.executable, "-c", _NODE_LOST], capture_output=True, timeout=400, check=False, env=environment
    )
    assert done.stdout.decode().split()[-3:] == ["True"] * 3, done.stderr.decode()[-2000:]


def test_a_result_of_a_local_frame_is_local() -> None:
    assert isinstance(as_frame(SMALL).sort("*"), LocalFrame)
