"""`SchemaInferrer`: what the columns of a table are, over every block of every file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from raypipe.config import EngineConfig, Frozen, Share
from raypipe.engine.choose import choose_engine
from raypipe.engine.run import Engine
from raypipe.errors import SchemaError
from raypipe.etl.infer.candidates import (
    Candidates,
    composite_keys,
    dependencies,
    may_be_key,
    merged,
    single_keys,
)  # fmt: skip
from raypipe.etl.infer.checks import CheckCandidates, CheckState
from raypipe.etl.infer.decide import Judged, dependencies_of, keys_of, points_of, shortest
from raypipe.etl.infer.evidence import InferLimits, TableEvidence
from raypipe.etl.infer.found import InferredSchema
from raypipe.etl.infer.passes import Passes, SourcePasses, TablePasses
from raypipe.etl.infer.references import Related, find_references
from raypipe.etl.reader import DataReader
from raypipe.etl.source import TableSource

_WIDEST_KEY = 3


class SchemaInferrer(Frozen):
    """Infers types, meanings, keys and dependencies of a table.

    Two passes over all blocks, or three: one gathers samples and a profile; one holds every candidate that the samples
    leave to every row; one more for longer keys, where none was found.

    Examples
    --------
    >>> table = pa.table({"id": [1, 2, 3, 4], "mail": ["a@b.org", "c@d.org", "e@f.org", None]})
    >>> found = SchemaInferrer().infer(table)
    >>> [(column.name, column.semantic) for column in found.columns], found.primary_key
    ([('id', 'identifier'), ('mail', 'email')], ('id',))
    """

    limits: InferLimits = InferLimits()
    """Bounds on samples, searches and memory."""
    engine: EngineConfig = EngineConfig()
    """Where sources run; tables at hand always run in this process."""
    max_bad_cell_share: Share = 0.01
    """A column keeps its type while at most this share of its values does not fit; past it the column becomes text."""

    def infer(self, source: Any, name: str | None = None, runs_on: Engine | None = None) -> InferredSchema:
        """The schema of a table.

        Parameters
        ----------
        source : str, Path, DataReader, TableSource, or table
            A path is read as `DataReader` does. A table is any that speaks the Arrow C stream interface: of pyarrow,
            Polars, pandas, DuckDB.
        name : str, optional
            Of the schema; default: that of the file, or `inferred`.
        runs_on : Engine, optional
            Engine of a source; None chooses by its size.

        Raises
        ------
        ReadError, ConfigError
            As `DataReader`.
        SchemaError
            If two columns have one name, or `source` is no table.
        """
        with self._passes(source, runs_on) as passes:
            return self._infer(passes, name or _name_of(source))[0]

    def infer_related(self, tables: Mapping[str, Any], runs_on: Engine | None = None) -> Related:
        """The schemas of several tables, and which columns of one are likely keys of another.

        Parameters
        ----------
        tables : mapping
            Name -> source, as `infer` takes it.
        runs_on : Engine, optional
            Engine of sources; None chooses by their size.
        """
        found: dict[str, tuple[InferredSchema, TableEvidence]] = {}
        for name, source in tables.items():
            with self._passes(source, runs_on) as passes:
                found[name] = self._infer(passes, name)
        return Related(
            schemas={name: schema for name, (schema, _) in found.items()},
            references=tuple(find_references(found)),
        )

    def _passes(self, source: Any, runs_on: Engine | None) -> Passes:
        if isinstance(source, str | Path):
            source = DataReader(source)
        if isinstance(source, DataReader):
            source = source.source()
        if isinstance(source, TableSource):
            engine = runs_on or choose_engine(self.engine, source.size_bytes)[0]
            return SourcePasses(source, engine, self.max_bad_cell_share)
        return TablePasses(as_table(source))

    def _infer(self, passes: Passes, name: str) -> tuple[InferredSchema, TableEvidence]:
        profile, evidence = passes.first(self.limits)
        schema = pa.schema([passes.schema.field(kind.name) for kind in evidence.types])
        judged = Judged.of(schema, evidence, profile)
        counts, rows = judged.counts(), evidence.rows
        limits = self.limits.for_width(len(counts))
        singles = single_keys(counts, evidence.sample, rows, limits)
        others = [column for column in counts if not may_be_key(column, evidence.sample, rows)]
        pairs = composite_keys(others, evidence.sample, rows, 2, (), limits)
        decided = dependencies(counts, evidence.sample, rows, singles.keys, limits)
        wanted = merged([singles, pairs, decided])
        state = self._check(passes, wanted, judged.tests)
        keys = keys_of(wanted.keys, state.keys, rows)
        if not keys and rows:
            # What looked like a key by itself and was none may be part of one.
            longer = merged(
                [
                    composite_keys(counts, evidence.sample, rows, width, wanted.keys, limits)
                    for width in (2, _WIDEST_KEY)
                ]
            )
            wanted = merged([wanted, longer])
            keys = shortest(keys_of(longer.keys, self._check(passes, longer).keys, rows))
        matches = {column: found for (column, _), found in zip(judged.tests, state.matches, strict=True)}
        made = InferredSchema(
            name=name,
            rows=rows,
            columns=judged.columns(matches, keys),
            candidate_keys=tuple(keys),
            dependencies=tuple(dependencies_of(decided, state.pairs)),
            points=points_of(judged.verdicts),
            notes=(*passes.notes(), *wanted.notes),
        )
        return made, evidence

    def _check(self, passes: Passes, wanted: Candidates, tests: Sequence[tuple[str, str]] = ()) -> CheckState:
        if not (wanted.keys or wanted.dependencies or tests):
            return CheckState((), (), ())
        stage = CheckCandidates(
            unique=wanted.keys,
            dependencies=wanted.dependencies,
            tests=tuple(tests),
            max_bytes=self.limits.check_mib << 20,
        )
        found: CheckState = passes.run(stage)
        return found


def _name_of(source: Any) -> str:
    return Path(str(source)).stem or "inferred" if isinstance(source, str | Path) else "inferred"


def as_table(source: Any) -> pa.Table:
    """The table that `source` is, with one column a name; SchemaError if it is none."""
    if isinstance(source, pa.RecordBatch):
        source = pa.Table.from_batches([source])
    if not isinstance(source, pa.Table):
        if not hasattr(source, "__arrow_c_stream__"):
            raise SchemaError(
                f"infer: got {type(source).__name__}; wanted a path, a DataReader, or a table of pyarrow, Polars, "
                "pandas or DuckDB"
            )
        source = pa.table(source)
    names = source.column_names
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise SchemaError(f"infer: two columns are named {twice!r}; rename one, e.g. table.rename_columns([...])")
    return source
