"""Modin frames over the same Ray: types survive, nothing is left behind, and an override may work on one."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from raypipe import AnalyticsPipeline, PipelineConfig
from raypipe.config import EngineConfig
from raypipe.engine.frame import Frame
from raypipe.engine.localframe import as_frame
from raypipe.engine.rayframe import RayFrame
from raypipe.errors import ConfigError, MissingDependencyError, SchemaError, StageFailedError
from tests.engine.exchanges import on_ray, plain
from tests.engine.test_exchange_ray import LARGE, SMALL

pytestmark = [
    pytest.mark.usefixtures("ray_session"),
    pytest.mark.skipif(importlib.util.find_spec("modin") is None, reason="the extra modin is not installed"),
    pytest.mark.filterwarnings("ignore::UserWarning:modin.*"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:modin.*"),
    pytest.mark.filterwarnings("ignore::FutureWarning:modin.*"),
]


def test_every_type_survives_the_trip_to_modin_and_back() -> None:
    for frame in (on_ray(LARGE, 100, 100, 350), as_frame(LARGE), on_ray(LARGE.slice(0, 0))):
        there = frame.to_modin()
        assert type(there).__module__.startswith("modin.")
        assert list(there.columns) == LARGE.column_names
        assert there.index.tolist() == list(range(len(frame)))
        back = as_frame(there)
        assert isinstance(back, RayFrame)
        assert back.schema == LARGE.schema
        assert plain(back.to_arrow()) == plain(frame.to_arrow())


TABLE = pa.table({"city": ["Ulm", None, "Bonn", "Ulm"], "units": [1, None, 3, 4], "price": [1.5, 2.0, None, 0.5]})
WORK: dict[str, tuple[Callable[[Any], Any], list[tuple[Any, ...]]]] = {
    "filter": (lambda m: m[m["units"] > 1], [("Bonn", 3, None), ("Ulm", 4, 0.5)]),
    "column": (lambda m: m.assign(total=m["units"] * m["price"])[["total"]], [(1.5,), (None,), (None,), (2.0,)]),
    "group": (lambda m: m.groupby("city")[["units"]].sum().reset_index(), [("Bonn", 3), ("Ulm", 5)]),
    "sort": (lambda m: m.sort_values("units", ascending=False)[["units"]], [(4,), (3,), (1,), (None,)]),
    "merge": (
        lambda m: m[["city"]].merge(m[["city", "units"]].dropna(), on="city")[["units"]],
        [(1,), (4,), (3,), (1,), (4,)],
    ),
    "plain pandas types": (lambda m: m[["units"]].fillna(0).astype("int64"), [(1,), (0,), (3,), (4,)]),
    "nothing left": (lambda m: m[m["units"] > 100], []),
}


@pytest.mark.parametrize("work", WORK)
def test_what_is_done_in_modin_comes_back(work: str) -> None:
    act, wanted = WORK[work]
    back = as_frame(act(on_ray(TABLE, 1, 3).to_modin()))
    assert plain(back.to_arrow()) == wanted


def test_frames_of_modin_that_no_frame_can_hold_are_refused() -> None:
    there = on_ray(TABLE, 2).to_modin()
    import modin.pandas as mpd

    with pytest.raises(SchemaError, match="the Modin frame has no column"):
        as_frame(there[[]])
    with pytest.raises(SchemaError, match="frame: a column has values that do not fit together: .*Duplicate column"):
        as_frame(mpd.concat([there, there], axis=1))
    with pytest.raises(SchemaError, match="a column has values that do not fit together"):
        as_frame(mpd.DataFrame({"x": [1, "a", b"b"]}))
    with pytest.raises(SchemaError, match="a name that raypipe keeps"):
        as_frame(there.rename(columns={"city": "__row__"}))
    with pytest.raises(SchemaError, match="frame: got Series"):
        as_frame(there["city"])
    with pytest.raises(StageFailedError, match="stage modin failed on part .all.: .*overflow"):
        as_frame(on_ray(pa.table({"x": [2**62] * 3}), 1).to_modin() * 2)


def test_a_frame_may_be_made_in_modin_from_the_start() -> None:
    on_ray(SMALL).to_modin()
    import modin.pandas as mpd

    made = Frame.from_modin(mpd.DataFrame({"k": ["b", "a", "b"], 7: [1, 2, 3]}))
    assert made.group_by("k").agg(n=("7", "sum")).to_arrow().to_pydict() == {"k": ["a", "b"], "n": [2, 4]}


# ---- through a run --------------------------------------------------------------------------------------------------


class OnlyUlm(AnalyticsPipeline):
    """Keeps one city and adds a column, in Modin or Ray Data."""

    through = "modin"

    def _process_data(self, frame: Frame) -> Any:
        if self.through == "dataset":
            from raypipe.engine.raydata import quiet

            with quiet():
                return frame.to_ray_dataset().map_batches(_only_ulm, batch_format="pyarrow")
        rows = frame.to_modin()
        rows = rows[rows["city"] == "Ulm"]
        rows["twice"] = rows["units"] * 2
        return rows


def _only_ulm(block: pa.Table) -> pa.Table:
    import pyarrow.compute as pc

    block = block.filter(pc.equal(block["city"], "Ulm"))
    return block.append_column("twice", pc.multiply(block["units"], 2))


@pytest.mark.parametrize("through", ["modin", "dataset"])
@pytest.mark.parametrize("engine", ["ray", pytest.param("inline", marks=pytest.mark.slow)])
def test_an_override_may_work_on_the_cluster_and_put_back_what_it_made(
    tmp_path: Path, engine: Any, through: str
) -> None:
    lines = [f"{('Ulm', 'Bonn', '')[number % 3]},{number}" for number in range(300)]
    (tmp_path / "sales.csv").write_text("city,units\n" + "\n".join(lines) + "\n")
    config = PipelineConfig(
        data_source=tmp_path / "sales.csv",
        output_dir=tmp_path / "output",
        engine=EngineConfig(engine=engine),
        save_intermediate=False,
        generate_dashboard=False,
    )
    pipeline = OnlyUlm(config)
    pipeline.through = through
    results = pipeline.execute()
    assert results["status"] == "completed"
    assert results["data_shape"] == (100, 3)
    frame = results["processed_data"]
    assert isinstance(frame, RayFrame)
    assert frame.schema.field("twice").type == pa.int64()
    assert frame.to_arrow()["twice"].to_pylist() == [2 * number for number in range(0, 300, 3)]
    assert results["rows"]["dropped"] == {"OnlyUlm._process_data": 200}


# ---- manners --------------------------------------------------------------------------------------------------------

_ALONE = """
import os, sys, tempfile
os.environ["HOME"] = home = tempfile.mkdtemp()
os.chdir(tempfile.mkdtemp())
import pyarrow as pa
from raypipe.engine.localframe import as_frame
made = as_frame(as_frame(pa.table({"x": [2, 1, None]})).to_modin().sort_values("x")).to_arrow()
from raypipe.engine.session import open_session
import ray
assert open_session(None).private and ray.is_initialized()
assert made["x"].to_pylist() == [1, 2, None], made
left = [name for folder in (".", home) for name in os.listdir(folder) if name not in (".ray", ".cache")]
assert not left, left
"""


@pytest.mark.slow
def test_modin_takes_the_ray_that_is_there_and_leaves_no_file_behind() -> None:
    done = subprocess.run([sys.executable, "-c", _ALONE], capture_output=True, timeout=180, check=False)
    assert done.returncode == 0, done.stderr.decode()[-3000:]
    assert done.stdout == b""


_WITHOUT = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "modin":
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Missing())
import importlib.util
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name == "modin" else found(name, package)
import pyarrow as pa
from raypipe.engine.localframe import as_frame
as_frame(pa.table({"x": [1]})).to_modin()
"""


@pytest.mark.slow
def test_without_modin_the_pip_line_is_told() -> None:
    done = subprocess.run([sys.executable, "-c", _WITHOUT], capture_output=True, timeout=180, check=False)
    text = "MissingDependencyError: Frame.to_modin needs modin: pip install 'raypipe[modin]'"
    assert text in done.stderr.decode()
    assert issubclass(MissingDependencyError, ImportError)


def test_modin_on_another_engine_is_refused_in_words() -> None:
    from modin.config import Engine, context

    assert Engine.get() == "Ray"
    with (
        context(Engine="Python"),
        pytest.raises(ConfigError, match="Modin is set to run on Python; unset MODIN_ENGINE"),
    ):
        on_ray(SMALL).to_modin()
