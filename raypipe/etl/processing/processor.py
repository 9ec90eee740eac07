"""`FittedProcessor`: the steps of a run as they were fitted, saved, and applied to new data."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import pyarrow as pa
import pyarrow.types as pt
from pydantic import SerializeAsAny, ValidationError, field_validator

import raypipe
from raypipe.blocks.frames import ROW
from raypipe.config import EngineConfig, Frozen
from raypipe.engine.frame import Frame
from raypipe.engine.inline import InlineEngine
from raypipe.engine.localframe import as_frame
from raypipe.engine.run import Outcome, Pass
from raypipe.errors import ConfigError, MissingColumnsError, ReadError, SchemaError
from raypipe.etl.outputs import writing
from raypipe.etl.processing.course import Course, Wish
from raypipe.etl.processing.walk import walk
from raypipe.etl.rules.dtypes import is_text
from raypipe.etl.steps.cells import ArrowType
from raypipe.etl.steps.fitted import FittedStep
from raypipe.etl.steps.registry import FITTED
from raypipe.etl.wording import counted, listed
from raypipe.results import StepReport
from raypipe.stage import ASIDE_SCHEMA, BlockStage, Part, Plan, Stage

logger = logging.getLogger(__name__)
VERSION = 1


class InputColumn(Frozen):
    """A column that the steps were fitted on."""

    name: str
    type: ArrowType


class AlignColumns(BlockStage):
    """Bring the columns of a new table into the order and the types that steps were fitted on."""

    STAGE_NAME: ClassVar[str] = "AlignColumns"
    columns: tuple[InputColumn, ...]

    def output_schema(self, schema: pa.Schema) -> pa.Schema:
        return pa.schema([(one.name, one.type) for one in self.columns])

    def apply(self, block: pa.Table) -> pa.Table:
        arrays = [block[one.name].cast(one.type) for one in self.columns]
        made = pa.table(arrays, schema=self.output_schema(block.schema))
        return made.append_column(ROW, block[ROW]) if ROW in block.column_names else made


@dataclass(frozen=True)
class Processed:
    """What a fitted processor made of a table."""

    frame: Frame
    """The rows that are left."""
    quarantine: pa.Table
    """Rows set aside, with part, stage, row number, column, value and reason."""
    steps: tuple[StepReport, ...]
    rows_in: int

    @property
    def table(self) -> pa.Table:
        """The rows that are left, in this process."""
        return self.frame.to_arrow()


class FittedProcessor(Frozen):
    """Steps as they were fitted on one table, for others of the same columns.

    Examples
    --------
    >>> from raypipe.etl.processing.process import fit_processor
    >>> from raypipe.config import ProcessingConfig
    >>> table = pa.table({"x": [1.0, None, 3.0]})
    >>> fill = {"step": "fill_missing", "columns": "x", "method": "mean"}
    >>> processor = fit_processor(table, ProcessingConfig(drop_empty_rows=False, steps=[fill]))
    >>> processor.apply(pa.table({"x": [None, 9.0]}))["x"].to_pylist()
    [2.0, 9.0]
    """

    version: Literal[1] = 1
    raypipe: str = raypipe.__version__
    """Version that fitted them."""
    columns: tuple[InputColumn, ...]
    """Of the table that they were fitted on."""
    steps: tuple[SerializeAsAny[FittedStep], ...]

    @field_validator("steps", mode="before")
    @classmethod
    def _by_kind(cls, value: Any) -> Any:
        if not isinstance(value, Sequence) or isinstance(value, str):
            return value
        return tuple(_step_of(one) if isinstance(one, Mapping) else one for one in value)

    def save(self, path: str | Path) -> None:
        """Write the steps as JSON, whole or not at all."""
        path = Path(path)
        with writing(path):
            temp = path.with_name(f".tmp-{path.name}")
            temp.write_text(json.dumps(self.to_json(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
            os.replace(temp, path)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        steps = [step.model_dump(mode="json", exclude={"resources", "max_workers"}) for step in self.steps]
        return {**self.model_dump(mode="json", exclude={"steps"}), "steps": steps}

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Steps that were saved.

        Raises
        ------
        ReadError
            If the file cannot be read.
        ConfigError
            If it holds no fitted steps, or those of a version that this one does not know.
        """
        try:
            values = json.loads(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise ReadError(f"{path}: cannot be read: {error.strerror or error}") from error
        except ValueError as error:
            raise ConfigError(f"{path}: no processing.json of raypipe: {error}") from error
        if not isinstance(values, dict) or values.get("version") != VERSION:
            got = values.get("version") if isinstance(values, dict) else type(values).__name__
            raise ConfigError(f"{path}: got version {got!r} of fitted steps, wanted {VERSION}; fit the steps again")
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"]))
            raise ConfigError(f"{path}: fitted steps are damaged at {place}: {first['msg']}") from error

    # ---- use ----------------------------------------------------------------------------------------------------

    def apply(self, data: Any) -> pa.Table:
        """The table after all steps.

        Parameters
        ----------
        data : Frame, or an Arrow, Polars or pandas table

        Raises
        ------
        MissingColumnsError, SchemaError
            If the table does not have the columns that the steps were fitted on, or one that they never saw.
        """
        done = self.process(data)
        if done.quarantine.num_rows:
            logger.warning(
                "%s set aside, the first since %s; process() hands them out",
                counted(done.quarantine.num_rows, "row"), done.quarantine["reason"][0].as_py(),
            )  # fmt: skip
        return done.table

    def process(self, data: Any) -> Processed:
        """As `apply`, with the rows set aside and a report of each step."""
        frame = as_frame(data)
        align = self.alignment(frame.schema)
        run = InProcess()
        done = walk(self.course(), frame, run, (align,) if align is not None else ())
        return Processed(done.frame, run.quarantine(), tuple(done.reports), len(frame))

    @property
    def schema(self) -> pa.Schema:  # pydantic's deprecated BaseModel.schema is none of ours
        """Of the table that they were fitted on."""
        return pa.schema([(one.name, one.type) for one in self.columns])

    def course(self) -> Course:
        """The steps, to be applied once more."""
        return Course([Wish(step.label, fitted=step) for step in self.steps], self.schema)

    def alignment(self, schema: pa.Schema) -> AlignColumns | None:
        """The stage that a table of this schema needs first; None where it is as the steps know it.

        Raises
        ------
        MissingColumnsError, SchemaError
            If a column is missing, was not there when the steps were fitted, or has a type that does not fit.
        """
        known = {one.name: one.type for one in self.columns}
        missing = [name for name in known if name not in schema.names]
        if missing:
            raise MissingColumnsError("fitted steps", missing, schema.names)
        strange = [name for name in schema.names if name not in known]
        if strange:
            raise SchemaError(
                f"fitted steps: they never saw the column{'s' if len(strange) > 1 else ''} {listed(strange)}; leave "
                "them out, or fit the steps again"
            )
        unfit = [name for name, kind in known.items() if not _fits(schema.field(name).type, kind)]
        if unfit:
            name = unfit[0]
            raise SchemaError(
                f"fitted steps: column {name!r} is {schema.field(name).type} and was {known[name]} when they were "
                "fitted; read it with that type, or fit the steps again"
            )
        same = [(one.name, one.type) for one in schema] == list(known.items())
        return None if same else AlignColumns(columns=self.columns)

    def inverse(self, table: Any) -> pa.Table:
        """The table before the steps, as far as they can be undone: scales, transforms, encodings, units, names.

        Columns that are not there are passed over, so that the predictions of a model can be brought back alone. Gaps
        that were filled, values that were capped and rows that were dropped stay as they are.
        """
        made = as_frame(table).to_arrow()
        for step in reversed(self.steps):
            if step.undoes:
                made = step.undo(made)
        return made

    @property
    def lasting(self) -> tuple[str, ...]:
        """Steps that `inverse` does not undo."""
        return tuple(step.label for step in self.steps if not step.undoes or (step.gone() and step.kind == "arrange"))


def _step_of(values: Mapping[str, Any]) -> FittedStep:
    kind = values.get("kind")
    if kind not in FITTED:
        raise ValueError(f"there is no fitted step {kind!r}; there are: {', '.join(FITTED)}")
    return FITTED[kind].model_validate(values)


def _fits(kind: pa.DataType, wanted: pa.DataType) -> bool:
    """Whether every value of a type has a place in another, or is told apart row by row."""
    if kind == wanted or pt.is_null(kind):
        return True
    whole = bool(pt.is_integer(kind))
    if pt.is_floating(wanted):
        return whole or bool(pt.is_floating(kind))
    return bool((whole and (pt.is_integer(wanted) or pt.is_decimal(wanted))) or (is_text(kind) and is_text(wanted)))


class InProcess:
    """Runs stages in this process, and gathers what they set aside."""

    def __init__(self) -> None:
        self.asides: list[pa.Table] = []

    def __call__(self, frame: Frame, stages: tuple[Stage, ...]) -> Outcome:
        """See `RunStages`."""
        plan = Plan(source=frame.source, prefix=frame.prefix, stages=stages)
        return InlineEngine(EngineConfig(engine="inline")).run(
            Pass(plan, frame=frame, keep=True, on_aside=self.set_aside)
        )

    def set_aside(self, stage: str, part: Part, rows: pa.Table) -> None:
        """Keep rows that a stage set aside."""
        names = [pa.array([text] * rows.num_rows, pa.large_string()) for text in (stage, part.id)]
        self.asides.append(rows.add_column(0, "part", names[1]).add_column(0, "stage", names[0]))

    def quarantine(self) -> pa.Table:
        """All that was set aside."""
        head = [pa.field("stage", pa.large_string()), pa.field("part", pa.large_string())]
        return pa.concat_tables([pa.schema([*head, *ASIDE_SCHEMA]).empty_table(), *self.asides])
