"""What a workflow is given, looked at before anything is learnt."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, cast

import pyarrow as pa

from raypipe.errors import ConfigError, MissingColumnsError
from raypipe.ml.data import TrainingData, to_table, to_target, training_data
from raypipe.ml.workflow.attempt import Attempts

if TYPE_CHECKING:
    from raypipe.ml.specs.store import FeatureStoreSpec


def only_enabled(spec: Any) -> Any:
    """The spec; None where it is switched off."""
    return spec if spec is not None and spec.enabled else None


def deadline_of(time_limit_s: float | None) -> float | None:
    """By `time.monotonic()`."""
    if time_limit_s is not None and not 0 < time_limit_s < float("inf"):
        raise ConfigError(f"time_limit_s: got {time_limit_s!r}; wanted seconds above 0, or None for no limit")
    return None if time_limit_s is None else time.monotonic() + time_limit_s


def engine_named(name: str) -> Literal["auto", "ray", "inline"]:
    """The engine of this name."""
    if name not in ("auto", "ray", "inline"):
        raise ConfigError(f"engine: got {name!r}; wanted auto, ray or inline")
    return cast(Literal["auto", "ray", "inline"], name)


def rows_for_test(
    given: tuple[Any, Any], y: Any, data: TrainingData, columns: tuple[str | None, ...]
) -> TrainingData | None:
    """Rows that were given for the test."""
    table, target = given
    if table is None and target is None:
        return None
    if table is None or (target is None and not isinstance(y, str)):
        there, lacks = ("y_test", "X_test") if table is None else ("X_test", "y_test")
        raise ConfigError(f"test: got {there} without {lacks}; give both, or neither")
    test = training_data(table, y if target is None else target, data.task, columns, names=("X_test", "y_test"))
    missing = [name for name in data.X.columns if name not in test.X.columns]
    if missing:
        raise MissingColumnsError("X_test", missing, list(test.X.columns))
    return test


def rows_from_store(
    spec: FeatureStoreSpec, given: tuple[Any, Any], split_by: Sequence[str | None], attempts: Attempts
) -> tuple[Any, Any, dict[str, Any]]:
    """Rows from the feature store, with what they are split by; those given where it fails."""
    from raypipe.ml.store.training import training_rows

    entities = None
    spec = spec.replace(keep_columns=tuple(dict.fromkeys([*spec.keep_columns, *filter(None, split_by)])))
    if spec.entity_rows_given and given[0] is not None:
        entities, target = _entities(*given, spec.target)
        spec = spec.replace(target=target)
    rows = attempts.optional("feature store", lambda: training_rows(spec, entities))
    if rows is not None:
        return rows.table, rows.target, {"feature_store_enabled": True, **rows.facts}
    if given[0] is None:
        raise ConfigError(f"feature store: {attempts.skipped['feature store']}; and no X and y were given instead")
    return *given, {"feature_store_enabled": False}


def _entities(X: Any, y: Any, target: str) -> tuple[pa.Table, str]:  # noqa: N803
    """One table of the rows that were given, with their target, and its name."""
    table = X if isinstance(X, pa.Table) else pa.Table.from_pandas(to_table(X), preserve_index=False)
    if isinstance(y, str):
        return table, y
    values = to_target(y)
    if target in table.column_names or len(values) != table.num_rows:
        raise ConfigError(
            f"feature store: y has {len(values):,} values and is to be called {target!r}; X has {table.num_rows:,} rows"
            f" and the columns {', '.join(table.column_names)}. Wanted as many, and a name of its own"
        )
    return table.append_column(target, pa.array(values, from_pandas=True)), target
