"""Tables that other libraries put into Ray's object store, made into stored blocks without passing this process."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from raypipe.blocks.frames import canonical_schema, from_polars, to_polars
from raypipe.engine import raydata
from raypipe.engine.faults import is_fault, say
from raypipe.engine.localframe import canonical
from raypipe.engine.raydata import told
from raypipe.engine.rayengine import RayEngine
from raypipe.engine.sides import make_way, task_cpus
from raypipe.engine.stored import StoredBlocks, store_parts
from raypipe.errors import SchemaError


def of_dataset(engine: RayEngine, dataset: Any) -> StoredBlocks:
    """What a dataset of Ray Data makes. It runs as its user set it up, but quietly and in order."""
    raydata.load(by="Frame.from_ray_dataset")
    make_way(engine.session)
    with raydata.quiet(), _quiet_too(dataset.context):
        blocks = raydata.run(dataset, "dataset")
        names = dataset.schema()
    if not blocks:
        schema = getattr(names, "base_schema", names)
        empty = schema.empty_table() if isinstance(schema, pa.Schema) else pa.table({})
        return store_parts(engine.session, "dataset", [], canonical(empty).schema)
    return adopt(engine, "dataset", [ref for ref, _, _ in blocks])


@contextlib.contextmanager
def _quiet_too(context: Any) -> Iterator[None]:
    """A dataset has a context of its own, that of the moment when it was made."""
    bars, start, order = (
        context.enable_progress_bars, context.print_on_execution_start, context.execution_options.preserve_order,
    )  # fmt: skip
    context.enable_progress_bars = context.print_on_execution_start = False
    context.execution_options.preserve_order = True
    try:
        yield
    finally:
        context.enable_progress_bars, context.print_on_execution_start = bars, start
        context.execution_options.preserve_order = order


def adopt(engine: RayEngine, made_by: str, refs: Sequence[Any]) -> StoredBlocks:
    """Stored blocks of Arrow tables or pandas frames, given as references, in their order.

    Raises
    ------
    SchemaError
        If they have columns that a frame cannot hold, or do not fit together.
    """
    session = engine.session
    ray = session.ray
    options = {"num_cpus": task_cpus(session), "max_retries": engine.config.max_task_retries}
    look, fit = ray.remote(_look).options(num_returns=2, **options), ray.remote(_fit).options(num_returns=2, **options)
    try:
        looked = [look.remote(ref) for ref in refs]
        facts = ray.get([fact for _, fact in looked])
        schema = _common([schema for schema, _, _ in facts])
        fitted = [
            (block, fact) if known[0] == schema else fit.remote(block, schema)
            for (block, fact), known in zip(looked, facts, strict=True)
        ]
        facts = ray.get([fact for _, fact in fitted])
    except Exception as error:
        raise told(error, made_by) from error
    blocks = [(block, rows, size) for (block, _), (_, rows, size) in zip(fitted, facts, strict=True)]
    return store_parts(session, made_by, blocks, schema)


def _look(block: Any) -> tuple[pa.Table, tuple[pa.Schema, int, int]]:
    """The block under canonical types, and what the driver has to know of it."""
    if not isinstance(block, pa.Table):
        try:
            block = pa.Table.from_pandas(block, preserve_index=False)
        except BaseException as error:
            if not is_fault(error):
                raise
            raise SchemaError(f"frame: a column has values that do not fit together: {say(error)}") from error
    made = canonical(block.replace_schema_metadata(None))
    return made, (made.schema, made.num_rows, made.nbytes)


def _common(schemas: Sequence[pa.Schema]) -> pa.Schema:
    """A schema that all blocks can be cast to."""
    try:
        return canonical_schema(pa.unify_schemas(list(schemas), promote_options="permissive"))
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise SchemaError(f"frame: a column has types that do not fit together: {say(error)}") from error


def _fit(block: pa.Table, schema: pa.Schema) -> tuple[pa.Table, tuple[pa.Schema, int, int]]:
    columns = []
    for field in schema:
        if field.name not in block.column_names:
            columns.append(pa.nulls(block.num_rows, field.type))
            continue
        try:
            columns.append(block[field.name].cast(field.type))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            text = f"column {field.name!r} does not become {field.type} everywhere: {say(error)}"
            raise SchemaError(f"frame: {text}; give it one type") from error
    made = from_polars(to_polars(pa.table(columns, schema=schema)))
    return made, (made.schema, made.num_rows, made.nbytes)
