"""One replay: which rows go, the pass that they go through, and what is written down of it."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field

import raypipe
from raypipe.blocks.frames import ROW, from_polars, row_numbers
from raypipe.config import EngineConfig, Frozen
from raypipe.config.write import WriteOptions
from raypipe.engine.choose import choose_engine
from raypipe.engine.run import Outcome, Pass
from raypipe.errors import ConfigError, ConservationError
from raypipe.etl.quarantine.mended import VALUES, MendedRows
from raypipe.etl.quarantine.rows import (
    READ,
    RULES,
    STATE_SCHEMA,
    batches,
    refuse_taken_names,
)
from raypipe.etl.writers.files import WriteFiles
from raypipe.pipeline.replay import PROCESSED, REPLAYED, REPLAYS, Quarantined, finish, record_of
from raypipe.pipeline.replay_rows import Sent, late_stages, stage_rows
from raypipe.pipeline.replayable import REPLAY as RECORD
from raypipe.pipeline.replayable import ReplayRecord
from raypipe.pipeline.runfiles import QUARANTINE
from raypipe.stage import MapStage, Part, Plan, ReduceStage

BY_USER = "quarantine fix --drop-rows"
"""Name under which rows stand that somebody dropped."""
TOP_REASONS = 20
BOTH = "both its line (__raw__) and its fields are given; clear one of them"


class Replayed(Frozen):
    """What a replay did."""

    number: int | None
    """Of the replay; None where nothing changed, so that nothing was written."""
    quarantined_before: int
    replayed: int
    still_quarantined: int
    dropped: dict[str, int] = Field(default_factory=dict)
    """Stage, or the user, -> rows."""
    done_before: int = 0
    """Rows of the file that an earlier replay settled."""
    late: int = 0
    """Rows that steps had changed already when they were set aside, so that they stay: mend them in the source."""
    outputs: tuple[dict[str, Any], ...] = ()
    reasons: dict[str, int] = Field(default_factory=dict)
    """The most frequent reasons of rows that stay."""

    def check(self) -> None:
        """ConservationError unless rows before = replayed + still there + dropped."""
        if self.quarantined_before != self.replayed + self.still_quarantined + sum(self.dropped.values()):
            raise ConservationError(
                f"rows in quarantine ({self.quarantined_before:,}) are not rows replayed ({self.replayed:,}) + still "
                f"there ({self.still_quarantined:,}) + dropped ({self.dropped}); this is a defect of raypipe"
            )


class KeptRows(ReduceStage):
    """Numbers of the rows that came through, by part."""

    def partial(self, block: pa.Table, part: str) -> dict[str, list[np.ndarray[Any, Any]]]:
        if ROW not in block.column_names:  # the empty block of a source without parts
            return {}
        return {part: [row_numbers(block)]}

    def merge(self, a: Any, b: Any) -> Any:
        return {part: [*a.get(part, []), *b.get(part, [])] for part in (*a, *(part for part in b if part not in a))}

    def finish(self, state: Any) -> dict[str, np.ndarray[Any, Any]]:
        return {part: np.concatenate(found) for part, found in (state or {}).items()}


TOLD: dict[str, pl.DataType] = {
    **dict.fromkeys(("stage", "column", "value", "reason", "raw", "notation"), pl.String()),
    RULES: pl.List(pl.String),
}
"""What is told anew of a row that is set aside again."""


@dataclass
class _Aside:
    """Rows that were set aside again, under their identities."""

    staged: Path
    found: list[pl.DataFrame] = field(default_factory=list)

    def add(self, stage: str, part: Part, rows: pa.Table) -> None:
        """As `Pass.on_aside` wants it."""
        start = int(part.id.rpartition("@")[2])
        ids = pl.scan_parquet(self.staged).select("id", "notation").slice(start, part.rows).collect()
        frame = pl.DataFrame(pl.from_arrow(rows))
        at = frame["row"].to_numpy().astype(np.int64)
        rules = (
            pl.col(RULES).cast(pl.List(pl.String))
            if RULES in frame.columns
            else pl.lit(None, pl.List(pl.String)).alias(RULES)
        )
        notation = pl.lit(VALUES) if stage != READ else pl.lit(ids["notation"].gather(at))
        self.found.append(
            frame.select(
                pl.lit(ids["id"].gather(at)).alias("id"), pl.lit(stage).alias("stage"), "column", "value", "reason",
                "raw", notation.alias("notation"), rules,
            )
        )  # fmt: skip

    def table(self) -> pl.DataFrame:
        kinds = {"id": pl.String(), **TOLD}
        return pl.concat([pl.DataFrame(schema=kinds), *(rows.select(*kinds) for rows in self.found)])


def replay(state: Quarantined, fixed: Path | None = None, engine: EngineConfig | None = None) -> Replayed:
    """Read the rows in quarantine again, add those that pass to the outputs of the run, and keep the others.

    Parameters
    ----------
    state : Quarantined
        Of the run, held for change.
    fixed : Path, optional
        A file of mended rows, from `raypipe quarantine fix`; rows that are not in it stay. None takes all rows as they
        are.
    engine : EngineConfig, optional
        Where they are read again; by default in this process unless they are many. The rows lie on a disk of this
        machine, so that a cluster of others is of no use.

    Raises
    ------
    ConfigError
        If the rows cannot go the same way again, or the file is of another run or has columns of its own.
    ConservationError
        If rows do not add up; then nothing was written.
    """
    record = record_of(state.files, state.temp)
    source, stages = record.table_source(), record.open_stages()
    columns = source.table_schema.names
    refuse_taken_names(columns)
    staged = state.temp / "staged.parquet"
    sent = stage_rows(state, fixed, columns, late_stages(stages), staged)
    aside = _Aside(staged)
    parts = state.temp / "parts"
    rows = MendedRows(path=staged, rows=sent.going, origin=source)
    sink = WriteFiles(
        folder=parts,
        options=WriteOptions.model_validate(record.write),
        prefix=f"part-replay-{len(state.replays) + 1:04d}-",
    )
    outcome = _run(Plan(source=rows, stages=(*stages, KeptRows(), sink)), aside, engine or EngineConfig())
    return _settle(state, record, sent, _ledger(staged, outcome, aside.table(), stages), aside.table(), outcome)


def _run(plan: Plan, aside: _Aside, config: EngineConfig) -> Outcome:
    """One pass through what the run did with a row."""
    if config.address is not None:
        raise ConfigError(
            f"quarantine replay: its rows lie on this machine, which workers at {config.address} may not read. Leave "
            "the address out; --engine ray uses all cores here"
        )
    # Whether so many rows fail that something else must be wrong was asked when the run began; here all may.
    engine, _ = choose_engine(config.replace(max_failed_share=1.0), aside.staged.stat().st_size)
    return engine.run(Pass(plan, name="replay", on_aside=aside.add))


def _ledger(staged: Path, outcome: Outcome, aside: pl.DataFrame, stages: tuple[MapStage, ...]) -> pl.DataFrame:
    """What became of each row that was read and did not stay: `id`, `outcome`, `by`."""
    kept = outcome.results[KeptRows().name]
    places = [rows + int(part.rpartition("@")[2]) for part, rows in kept.items()]
    at = np.concatenate(places) if places else np.zeros(0, np.int64)
    ids = pl.read_parquet(staged, columns=["id"])["id"]
    kept_ids = ids.gather(np.sort(at))
    gone = ids.filter(~ids.is_in(kept_ids.implode()) & ~ids.is_in(aside["id"].implode()))
    droppers = [stage.name for stage in stages if outcome.tallies[stage.name].rows_dropped]
    return pl.concat([_entries(kept_ids, "replayed", None), _entries(gone, "dropped", " or ".join(droppers) or None)])


def _entries(ids: pl.Series, outcome: str, by: str | None) -> pl.DataFrame:
    return pl.DataFrame({"id": ids}, schema={"id": pl.String}).with_columns(
        outcome=pl.lit(outcome, pl.String), by=pl.lit(by, pl.String)
    )


def _settle(
    state: Quarantined, record: ReplayRecord, sent: Sent, ledger: pl.DataFrame, aside: pl.DataFrame, outcome: Outcome
) -> Replayed:
    """Write down what became of the rows; nothing, where nothing changed."""
    dropped = _entries(pl.Series(sent.dropped, dtype=pl.String), "dropped", BY_USER)
    ledger = pl.concat([ledger, dropped])
    path = state.temp / "stays.parquet"
    rows, changed, reasons = _write_what_stays(state, ledger, aside, sent.both, path)
    by = Counter(ledger.filter(pl.col("outcome") == "dropped")["by"].to_list())
    done = Replayed(
        number=len(state.replays) + 1 if changed or ledger.height else None,
        quarantined_before=state.rows,
        replayed=ledger.filter(pl.col("outcome") == "replayed").height,
        still_quarantined=rows,
        dropped={str(name): count for name, count in by.items()},
        done_before=sent.done_before,
        late=sent.late,
        reasons=dict(reasons.most_common(TOP_REASONS)),
    )
    done.check()
    if done.number is None:
        return done
    return _commit(state, done, (record, sent), (path, ledger), outcome)


def _write_what_stays(
    state: Quarantined, ledger: pl.DataFrame, aside: pl.DataFrame, both: list[str], path: Path
) -> tuple[int, bool, Counter[str]]:
    """The new quarantine: rows under their first identity, with their newest reason."""
    rows, changed, reasons = 0, False, Counter[str]()
    with pq.ParquetWriter(path, STATE_SCHEMA) as writer:
        for batch in batches(state.path):
            left = batch.filter(~pl.col("id").is_in(ledger["id"].implode()))
            new = left.select("id").join(aside, on="id", how="left", maintain_order="left")
            met = left["id"].is_in(aside["id"].implode())
            after = left.with_columns(
                new[name].zip_with(met, left[name].cast(kind)).alias(name) for name, kind in TOLD.items()
            )
            twice = after["id"].is_in(both)
            after = after.with_columns(reason=pl.when(twice).then(pl.lit(BOTH)).otherwise("reason"))
            changed |= not after.select(*TOLD).equals(left.select(*TOLD).cast(pl.Schema(TOLD)), null_equal=True)
            writer.write_table(from_polars(after.select(STATE_SCHEMA.names)).cast(STATE_SCHEMA))
            rows += after.height
            reasons.update(dict(after["reason"].value_counts().iter_rows()))
    return rows, changed, reasons


def _commit(
    state: Quarantined,
    done: Replayed,
    what: tuple[ReplayRecord, Sent],
    written: tuple[Path, pl.DataFrame],
    outcome: Outcome,
) -> Replayed:
    """Bring everything there, the record last; then the parts go to their place."""
    record, sent = what
    home = f"{REPLAYS}/{done.number:04d}"
    outputs = list(_put_parts(state, done, PROCESSED if record.processed else REPLAYED, outcome))
    state.files.put(written[0], f"{home}/{QUARANTINE}")
    ledger = state.temp / "ledger.parquet"
    written[1].write_parquet(ledger)
    state.files.put(ledger, f"{home}/ledger.parquet")
    done = done.replace(outputs=tuple(outputs))
    body = done.model_dump(mode="json")
    rows = {name: body.pop(name) for name in ("quarantined_before", "replayed", "still_quarantined", "dropped")}
    content = {
        "version": 1, "raypipe": raypipe.__version__, "run_id": state.run_id,
        "at": datetime.now(UTC).isoformat(timespec="milliseconds"), "mended_by": sent.fixed_name, "rows": rows, **body,
    }  # fmt: skip
    path = state.temp / "record.json"
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    state.files.put(path, f"{home}/{RECORD}")
    finish(state.files, content)
    return done


def _put_parts(state: Quarantined, done: Replayed, folder: str, outcome: Outcome) -> Iterator[dict[str, Any]]:
    parts = state.temp / "parts"
    for made in (file for receipt in outcome.receipts for file in receipt["files"] if file["rows"]):
        path = Path(made["path"])
        name = path.relative_to(parts).as_posix()
        state.files.put(path, f"{REPLAYS}/{done.number:04d}/parts/{name}")
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        yield {"name": f"{folder}/{name}", "rows": made["rows"], "bytes": made["bytes"], "sha256": digest}
