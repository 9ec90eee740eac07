"""Modin frames over the Ray of this process: partitions are made of blocks, and blocks of partitions, by tasks.

Columns are Arrow-backed (`pandas.ArrowDtype`), so that whole numbers with nulls, decimals, dates and times with zones
come back as they went. Modin connects to the Ray that is up when it is first used; a session is opened before.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from raypipe._optional import require_extra
from raypipe.engine.exchange import Exchange
from raypipe.engine.foreign import adopt
from raypipe.engine.raydata import told
from raypipe.engine.rayengine import RayEngine
from raypipe.engine.rayframe import RayFrame
from raypipe.engine.sides import Bundle, make_way, task_cpus, whole_bundle
from raypipe.engine.stored import StoredBlocks, store_parts
from raypipe.errors import ConfigError, SchemaError

if TYPE_CHECKING:
    import pandas as pd


def load(by: str) -> ModuleType:
    """The module `modin.pandas`, on Ray.

    Raises
    ------
    MissingDependencyError
        If Modin is not installed; with the pip line.
    ConfigError
        If Modin was set to run on something else than Ray.
    """
    require_extra("modin", by=by)
    from modin.config import Engine

    if Engine.get() != "Ray":
        raise ConfigError(f"{by}: Modin is set to run on {Engine.get()}; unset MODIN_ENGINE, or set it to ray")
    import modin.pandas

    module: ModuleType = modin.pandas
    return module


def to_modin(exchange: Exchange, frame: RayFrame) -> Any:
    """A Modin frame of the frame's rows, with an index that counts them."""
    session = exchange.session  # opened before Modin is used, which would start a Ray of its own
    mpd = load(by="Frame.to_modin")
    make_way(session)
    from modin.distributed.dataframe.pandas import from_partitions

    side = exchange.side_of(frame)
    options = {"num_cpus": task_cpus(session), "max_retries": exchange.retries, "num_returns": 2}
    task = session.ray.remote(_partition).options(**options)
    made = [task.remote(side.spec, bundles, side.schema) for bundles in exchange.inputs(side, side.bytes)]
    try:
        lengths: list[int] = session.ray.get([length for _, length in made])
    except Exception as error:
        raise told(error, "to_modin") from error
    import pandas as pd

    if not sum(lengths):
        return mpd.DataFrame(_pandas(side.schema.empty_table()))
    return from_partitions(
        [partition for partition, _ in made],
        axis=0,
        index=pd.RangeIndex(sum(lengths)),
        columns=pd.Index(side.schema.names),
        row_lengths=lengths,
        column_widths=[len(side.schema)],
    )


def _partition(spec: Any, bundles: Sequence[Bundle], schema: pa.Schema) -> tuple[pd.DataFrame, int]:
    table = pa.concat_tables([whole_bundle(spec, bundle, schema) for bundle in bundles])
    return _pandas(table), table.num_rows


def _pandas(table: pa.Table) -> pd.DataFrame:
    import pandas as pd

    return table.to_pandas(types_mapper=pd.ArrowDtype)


def of_modin(engine: RayEngine, value: Any) -> StoredBlocks:
    """Stored blocks of a Modin frame's rows, without its index."""
    session = engine.session
    load(by="Frame.from_modin")
    make_way(session)
    from modin.distributed.dataframe.pandas import unwrap_partitions

    if not len(value.columns):
        raise SchemaError("frame: the Modin frame has no column")
    if not len(value):
        empty = pa.Table.from_pandas(value._to_pandas(), preserve_index=False)
        return store_parts(session, "modin", [], adopt(engine, "modin", [session.ray.put(empty)]).columns)
    return adopt(engine, "modin", unwrap_partitions(value, axis=0))
