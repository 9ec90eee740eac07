"""Scoring blocks of rows with a model that was read back, once in each worker."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.types as pt
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from raypipe.blocks.frames import ROW
from raypipe.engine.halving import failed_rows, joined_asides
from raypipe.errors import ConfigError, ReadError, SchemaError
from raypipe.ml.card import ModelCard
from raypipe.ml.data import to_table
from raypipe.ml.saving import CARD, LoadedModel, load_saved
from raypipe.stage import BlockFn, ModelStage, Sifted, require

MOST_PACKED = 32 << 20
"""Bytes of a model file up to which it travels with the stage; a larger one is read where it lies, which every node has
to see."""


class ScoreRows(ModelStage):
    """Append what a model says of each row: `prediction`, and of classes a column of probabilities each.

    Rows without a value that the model needs, and rows for which it gives no finite number, are set aside.
    """

    extra: ClassVar[str | None] = "ml"
    card: ModelCard
    folder: str
    """Where the model lies."""
    packed: bytes | None = None
    """The model file, where it is small enough to travel."""
    keep: tuple[str, ...] | None = None
    """Columns of the input that stay; None: all."""
    prefix: str = ""
    """Before the names of the columns that are added."""
    probabilities: bool = True
    """Whether the model gives them."""
    interval: bool = False
    """Whether it gives a low and a high end, too."""
    allow_pickle: bool = False

    def output_schema(self, schema: pa.Schema) -> pa.Schema:
        require(schema, *(one.name for one in self.card.inputs), by=f"model {self.card.name!r}")
        for one in self.card.inputs:
            self._check_type(one.name, one.type, schema.field(one.name).type)
        kept = self._kept(schema)
        added = self.added()
        taken = [name for name in added.names if name in kept]
        if taken:
            raise SchemaError(
                f"model {self.card.name!r}: the table has a column {taken[0]!r} already; give the new ones a prefix, or"
                " keep other columns"
            )
        return pa.schema([schema.field(name) for name in kept] + list(added))

    def _kept(self, schema: pa.Schema) -> list[str]:
        names = [name for name in schema.names if name != ROW]
        if self.keep is None:
            return names
        require(schema, *self.keep, by="keep")
        return [name for name in names if name in self.keep]

    def _check_type(self, name: str, was: str, now: pa.DataType) -> None:
        """Refuse a kind of values that the model was not learnt from, which it would take for something else."""
        wanted, got = kind_of_name(was), _kind(now)
        if "null" not in (wanted, got) and wanted != got:
            raise SchemaError(
                f"model {self.card.name!r}: column {name!r} is {now}, and was {was} when it was learnt; read it with"
                f" that type: --set read_options.dtypes.{name}=TYPE"
            )

    def added(self) -> pa.Schema:
        """The columns that it appends."""
        if self.card.labels is None:
            ends = ("", "_low", "_high") if self.interval else ("",)
            return pa.schema([(f"{self.prefix}prediction{end}", pa.float64()) for end in ends])
        first = pa.field(f"{self.prefix}prediction", _label_type(self.card.labels))
        if not self.probabilities:
            return pa.schema([first])
        names = [f"{self.prefix}probability_{label}" for label in self.card.labels]
        return pa.schema([first, *((name, pa.float64()) for name in names)])

    def open(self) -> BlockFn:
        model = self._loaded()

        def score(block: pa.Table) -> Sifted:
            fit, aside = self._sifted(block)
            said = self._said(model.model, fit)
            wrong = ~np.isfinite(said[-1]) if said and said[-1].dtype.kind == "f" else np.zeros(fit.num_rows, bool)
            made = self._joined(fit, said)
            if not wrong.any():
                return Sifted(made, aside)
            why = "the model gives no finite number for it"
            return Sifted(
                made.filter(pa.array(~wrong)), joined_asides([aside, failed_rows(fit.filter(pa.array(wrong)), why)])
            )

        return score

    def _loaded(self) -> LoadedModel:
        if self.packed is None:
            model = load_saved(self.folder, allow_pickle=self.allow_pickle)
            if model.card.sha256 != self.card.sha256:
                raise ReadError(f"{self.folder}: the model was changed since this was begun; begin anew")
            return model
        if hashlib.sha256(self.packed).hexdigest() != self.card.sha256:
            raise ReadError(f"{self.folder}: the model file is not the one that its card names")
        with tempfile.TemporaryDirectory(prefix="raypipe-") as folder:
            Path(folder, self.card.file).write_bytes(self.packed)
            Path(folder, CARD).write_text(self.card.model_dump_json(), encoding="utf-8")
            return load_saved(folder, allow_pickle=self.allow_pickle)

    def _sifted(self, block: pa.Table) -> tuple[pa.Table, pa.Table]:
        """Rows that have every value that the model needs, and the others with their reason."""
        whole = np.ones(block.num_rows, bool)
        asides = []
        for name in (one.name for one in self.card.inputs if one.required):
            there = _has_value(block[name])
            lacking = whole & ~there
            if lacking.any():
                why = f"column {name!r} has no value, and the model cannot do without"
                asides.append(_in_column(failed_rows(block.filter(pa.array(lacking)), why), name))
            whole &= there
        return (block if whole.all() else block.filter(pa.array(whole))), joined_asides(asides)

    def _said(self, model: Any, block: pa.Table) -> list[NDArray[Any]]:
        """What the model says: labels or numbers, then probabilities in the order of the labels."""
        names = [one.name for one in self.card.inputs]
        if block.num_rows == 0:
            return [np.empty(0, object if self.card.labels is not None else float)] + [
                np.empty(0) for _ in range(len(self.added()) - 1)
            ]
        rows = to_table(block.select(names))
        with threadpool_limits(limits=1):  # as many workers as there are cores answer at a time
            # What the features are made of is the greater part of the work, and is done once for both questions.
            last, made = (model[-1], model[:-1].transform(rows)) if hasattr(model, "steps") else (model, rows)
            found = [np.asarray(last.predict(made)).ravel()]
            if self.card.labels is not None and self.probabilities:
                found += list(_in_order(last, np.asarray(last.predict_proba(made), float), self.card.labels))
            elif self.interval:
                found += list(np.asarray(last.predict_interval(made), float).T)
        return found

    def _joined(self, block: pa.Table, said: Sequence[NDArray[Any]]) -> pa.Table:
        made = block.select([name for name in block.column_names if name == ROW or name in self._kept(block.schema)])
        for field, values in zip(self.added(), said, strict=True):
            made = made.append_column(
                field, pa.array(values.tolist() if values.dtype == object else values, field.type)
            )
        if ROW in made.column_names:
            numbers = made[ROW]
            made = made.drop_columns([ROW]).append_column(block.schema.field(ROW), numbers)
        return made


def score_stage(model: LoadedModel, *, allow_pickle: bool = False, **settings: Any) -> ScoreRows:
    """The stage that scores with a model that was read back.

    Raises
    ------
    ConfigError
        Its labels are of no type that a column can have.
    """
    path = model.folder / model.card.file
    packed = path.read_bytes() if path.stat().st_size <= MOST_PACKED else None
    return ScoreRows(
        card=model.card, folder=str(model.folder.resolve()), packed=packed, allow_pickle=allow_pickle,
        probabilities=hasattr(model.model, "predict_proba"), interval=hasattr(model.model, "predict_interval"),
        **settings,
    )  # fmt: skip


def _in_order(model: Any, given: NDArray[np.float64], labels: Sequence[Any]) -> NDArray[np.float64]:
    """Columns of probabilities in the order of the labels, one an array; 0 for a class that the model does not know."""
    places = {str(label): i for i, label in enumerate(labels)}
    found = np.zeros((len(labels), len(given)))
    for i, label in enumerate(model.classes_):
        found[places[str(label)]] = given[:, i]
    return found


def _label_type(labels: Sequence[Any]) -> pa.DataType:
    kinds = {type(label) for label in labels}
    known = {bool: pa.bool_(), int: pa.int64(), float: pa.float64(), str: pa.large_string()}
    if len(kinds) != 1 or (kind := kinds.pop()) not in known:
        raise ConfigError(f"model: its labels are {list(labels)[:5]}; wanted texts, numbers or booleans alone")
    return known[kind]


def _has_value(column: pa.ChunkedArray) -> NDArray[np.bool_]:
    there = column.is_valid().to_numpy()
    if pt.is_floating(column.type):
        values = column.to_numpy()
        there = there & np.isfinite(values)
    return np.asarray(there, bool)


def _in_column(aside: pa.Table, name: str) -> pa.Table:
    place = aside.schema.get_field_index("column")
    return aside.set_column(place, aside.schema.field(place), pa.array([name] * aside.num_rows, pa.large_string()))


def _kind(kind: pa.DataType) -> str:
    """Of values that a model takes for the same."""
    if pt.is_null(kind):
        return "null"
    if pt.is_dictionary(kind):
        return _kind(kind.value_type)
    if pt.is_boolean(kind):
        return "boolean"
    if pt.is_integer(kind) or pt.is_floating(kind) or pt.is_decimal(kind):
        return "number"
    return "time" if pt.is_temporal(kind) else "text"


def kind_of_name(name: str) -> str:
    """The same of a type by its name."""
    if name == "null":
        return "null"
    if name.startswith("dictionary"):
        return kind_of_name(name.partition("values=")[2].partition(",")[0].rstrip(">"))
    if name == "bool":
        return "boolean"
    if name.startswith(("int", "uint", "float", "double", "halffloat", "decimal")):
        return "number"
    return "time" if name.startswith(("timestamp", "date", "time", "duration")) else "text"
