"""`raypipe train`: a model from a file, judged on rows that it did not see, and kept."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from raypipe.errors import IN_PART, ConfigError

if TYPE_CHECKING:
    import pyarrow as pa

    from raypipe.ml.specs.store import FeatureStoreSpec
    from raypipe.ml.specs.training import TrainingSpec

PINNED = (
    "dtypes", "formats", "decimal", "thousands", "date_order", "true_values", "false_values", "null_values",
)  # fmt: skip
"""Read options that decide what a cell means; a model keeps them, so that a file is read the same when it predicts."""
SHOWN = 10
_SPAN = re.compile(r"^(\d+(?:\.\d+)?)(s|m|h)$")
_SECONDS = {"s": 1, "m": 60, "h": 3600}


def train(
    file: Annotated[
        str | None,
        typer.Argument(
            help="File, folder, glob or bucket of rows to learn from; with a feature store in --config, they are its"
            " entity rows.",
            metavar="FILE",
        ),
    ] = None,
    target: Annotated[
        str | None, typer.Option("--target", "-t", help="Column to predict; with a feature store, that of the store.")
    ] = None,
    time: Annotated[
        str | None, typer.Option("--time", help="Column of times: a model never learns from what comes after.")
    ] = None,
    group: Annotated[
        str | None, typer.Option("--group", help="Column of what belongs together, never on both sides of a split.")
    ] = None,
    model: Annotated[str | None, typer.Option("--model", "-m", help="Algorithm; default: lightgbm.")] = None,
    task: Annotated[
        str | None, typer.Option("--task", help="classification or regression; default: by target.")
    ] = None,
    config: Annotated[Path | None, typer.Option("--config", "-c", help="YAML or JSON of specs; flags win.")] = None,
    tune: Annotated[
        str | None, typer.Option("--tune", help="Search settings: a number of trials, or a time such as 60s or 5m.")
    ] = None,
    calibrate: Annotated[bool, typer.Option("--calibrate", help="Make probabilities hold what they say.")] = False,
    mlflow: Annotated[bool, typer.Option("--mlflow", help="Track as a run of MLflow.")] = False,
    tracking_uri: Annotated[
        str | None, typer.Option("--tracking-uri", help="Store of MLflow; default: output/mlflow.db.")
    ] = None,
    register: Annotated[
        str | None, typer.Option("--register", help="Register the model under this name, as challenger.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder of the model; default: output/models/FILE-TARGET.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the model that is there.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON on standard output.")] = False,
) -> None:
    """Learn a model from a file, tell how good it is on rows that it did not see, and keep it.

    Exit code 4: there is a model, but a step that was asked for failed and is not in it.
    """
    from raypipe.ml.specs.training import TrainingSpec

    spec = TrainingSpec.load(config) if config is not None else TrainingSpec()
    flags = {"time": time, "group": group, "model": model, "task": task, "tune": tune, "tracking_uri": tracking_uri,
             "register": register}  # fmt: skip
    spec = with_flags(spec, {name: value for name, value in flags.items() if value}, calibrate, mlflow)
    learns = what_to_learn(file, target, spec.feature_store)
    place = out or Path("output", "models", f"{learns.name}-{_plain(learns.target)}")
    if (place / "model").exists() and not force:
        raise ConfigError(f"{place}: a model is there already; add --force to replace it, or choose another --out")
    table, reading, notes, origin = read_rows(file, spec) if file is not None else Rows()
    result = run(spec, table, learns, place, origin)
    kept = keep(result, place, reading)
    if as_json:
        sys.stdout.write(json.dumps(_told(result, kept), default=str, ensure_ascii=True) + "\n")
    else:
        show(Console(width=None if sys.stdout.isatty() else 120), result, kept, notes)
    tell_skipped(Console(stderr=True), result["skipped"])


_ON = {"enabled": True}
"""What a flag names is wanted, also where the file of specs has switched it off."""


def with_flags(spec: TrainingSpec, flags: Mapping[str, str], calibrate: bool, mlflow: bool) -> TrainingSpec:
    """The spec with what the command line says over it."""
    values = spec.to_dict()
    for flag, name in (("time", "time_column"), ("group", "group_column")):
        if flag in flags:
            values["validation"][name] = flags[flag]
    if "model" in flags and values["model"].get("algorithm", flags["model"]) != flags["model"]:
        values["model"].pop("hyperparameters", None)  # they are those of another algorithm
    if "model" in flags or "algorithm" not in values["model"]:
        values["model"]["algorithm"] = flags.get("model", "lightgbm")
    if "task" in flags:
        values["task"] = flags["task"]
    if "tune" in flags:
        values["tuning"] = {**(values["tuning"] or {"kind": "optuna"}), **_budget(flags["tune"]), **_ON}
    if calibrate:
        values["calibration"] = {**(values["calibration"] or {}), **_ON}
    if mlflow or "tracking_uri" in flags or "register" in flags:
        tracked = {"tracking_uri": flags["tracking_uri"]} if "tracking_uri" in flags else {}
        named = {"register_model": True, "registered_model_name": flags["register"], "model_stage": "Staging"}
        values["mlflow"] = {**(values["mlflow"] or {}), **tracked, **(named if "register" in flags else {}), **_ON}
    return type(spec).from_dict(values, "raypipe train")


def _budget(text: str) -> dict[str, float | int]:
    found = _SPAN.match(text)
    if found is not None:
        return {"time_limit_s": float(found[1]) * _SECONDS[found[2]]}
    if not text.isdigit() or int(text) < 1:
        raise ConfigError(f"--tune: got {text!r}; wanted a number of trials, such as 50, or a time: 60s, 5m, 1h")
    return {"n_trials": int(text)}


class Rows(NamedTuple):
    """The rows of a file."""

    table: pa.Table | None = None
    """None: a feature store has them."""
    reading: Mapping[str, Any] = MappingProxyType({})
    """Read options that gave them their types."""
    notes: Sequence[str] = ()
    """What is to be said of them."""
    origin: Mapping[str, Any] | None = None
    """The version of the table that they are from, or the hash of the file."""


class Learns(NamedTuple):
    """What is to be learnt, of which rows."""

    name: str
    """Of the file, or of the dataset in the store."""
    target: str
    store: FeatureStoreSpec | None


def what_to_learn(file: str | None, target: str | None, section: Mapping[str, Any] | None) -> Learns:
    """The target and the store by the command line and the file of specs, which must not contradict each other.

    Raises
    ------
    ConfigError
        Nothing names rows or target, or two things name different ones.
    """
    store = _store(section, given=file is not None)
    named = (section or {}).get("target") if store is not None else None
    if target is not None and named is not None and target != named:
        raise ConfigError(f"--target is {target!r}, but feature_store.target is {named!r}; leave one of them out")
    wanted = target or named
    if wanted is None:
        raise ConfigError("raypipe train: got no column to predict; add --target COLUMN")
    if store is None and file is None:
        raise ConfigError("raypipe train: got no rows; name a FILE, or a feature_store in the specs of --config")
    rows = file or (store and (store.entity_rows or store.dataset_name))
    return Learns(_plain(Path(str(rows).rstrip("/")).stem), wanted, store and store.replace(target=wanted))


def read_rows(file: str, spec: TrainingSpec) -> Rows:
    """All rows of a file, and how they were read."""
    from raypipe.config import PipelineConfig
    from raypipe.etl.pins import pinned_options, set_options
    from raypipe.etl.provenance import provenance
    from raypipe.etl.reader import DataReader

    config = PipelineConfig.of({"data_source": file, "read_options": spec.read_options}, "read_options")
    reader = DataReader(file, None, config.read_options, config.storage)
    read = reader.read_all(config.validation.max_bad_cell_share)
    notes = list(read.source.notes)
    if read.aside.num_rows:
        why = read.aside["reason"][0].as_py()
        notes.append(f"{read.aside.num_rows:,} rows could not be read and are left out, the first for: {why}")
    origin = provenance(read.source)
    if reader.format != "csv":
        return Rows(read.table, {}, notes, origin)
    pins = set_options(pinned_options(read.source, config.read_options))
    return Rows(read.table, {name: pins[name] for name in PINNED if name in pins}, notes, origin)


def run(
    spec: TrainingSpec, table: pa.Table | None, learns: Learns, place: Path, origin: Mapping[str, Any] | None
) -> Any:
    """The workflow that a spec describes, on these rows."""
    from raypipe.ml.workflow import run_ml_workflow

    validation = spec.validation
    params = validation.model_dump(exclude_unset=True, exclude={"strategy", "test_size"})
    strategy = "cross_validation" if validation.strategy == "auto" else validation.strategy
    return run_ml_workflow(
        list(spec.features) if spec.features is not None else None,
        spec.model_spec(learns.target),
        table,
        learns.target,
        strategy,
        params,
        test_size=validation.test_size,
        random_state=spec.random_state,
        tuning_spec=_tuning(spec.tuning),
        calibration_spec=_calibration(spec.calibration),
        mlflow_spec=_tracked(spec),
        feature_store_spec=learns.store,
        selection_spec=spec.selection,
        output_dir=place,
        data_source=origin,
    )


def _tuning(values: Mapping[str, Any] | None) -> Any:
    if values is None:
        return None
    from raypipe.ml.specs.tuning import GridSearchSpec, OptunaSearchSpec, PopulationSearchSpec, RandomSearchSpec

    kinds: dict[str, Any] = {
        "grid": GridSearchSpec, "random": RandomSearchSpec, "optuna": OptunaSearchSpec,
        "population": PopulationSearchSpec,
    }  # fmt: skip
    kind = values.get("kind", "optuna")
    if kind not in kinds:
        raise ConfigError(f"tuning: there is no kind {kind!r}; there are {', '.join(kinds)}")
    named = dict(values)
    if kind == "random" and "n_trials" in named:
        named["n_iter"] = named.pop("n_trials")
    if kind == "population" and "n_trials" in named:
        named["population"] = named.pop("n_trials")
    return kinds[kind].from_dict({"tuning_name": kind, **named}, "tuning")


def _calibration(values: Mapping[str, Any] | None) -> Any:
    if values is None:
        return None
    from raypipe.ml.specs.calibration import CalibrationSpec

    return CalibrationSpec.from_dict(dict(values), "calibration")


def _store(values: Mapping[str, Any] | None, *, given: bool) -> FeatureStoreSpec | None:
    """The store of the specs: whoever names one wants it, and a file beside it has its entity rows."""
    if values is None or values.get("enabled") is False:
        return None
    from raypipe.ml.specs.store import FeatureStoreSpec

    for name in ("entity_rows", "dataset_name"):
        if given and values.get(name) is not None:
            raise ConfigError(
                f"feature_store.{name} is {values[name]!r}, and a FILE is named too: its rows would be the entity rows."
                " Leave one of them out"
            )
    return FeatureStoreSpec.from_dict({"enabled": True, "entity_rows_given": given, **values}, "feature_store")


def _tracked(spec: TrainingSpec) -> Any:
    """Runs of all models into one store, unless it says where; else each model's folder would have one of its own."""
    if spec.mlflow is None or spec.mlflow.tracking_uri is not None:
        return spec.mlflow
    from raypipe.ml.tracking.store import default_uri

    return spec.mlflow.replace(tracking_uri=default_uri(Path("output")))


def keep(result: Any, place: Path, reading: Mapping[str, Any]) -> Path:
    """Write the model and what tells of it; gives the folder of the model."""
    from raypipe.ml.saving import save_model
    from raypipe.ml.tracking.evidence import write_evidence

    inputs = {one.name for one in result["inputs"]}
    ours = {
        name: {column: how for column, how in value.items() if column in inputs} if isinstance(value, dict) else value
        for name, value in reading.items()
    }
    model_format: Literal["skops", "cloudpickle"] = "skops"
    if "mlflow_spec" in result:
        model_format = result["mlflow_spec"].model_format
    kept = save_model(result, place / "model", reading=ours, model_format=model_format, overwrite=True)
    write_evidence(result, place)
    return kept


def _told(result: Any, kept: Path) -> dict[str, Any]:
    from raypipe.ml.workflow import get_workflow_summary

    run_of = {name: result[name] for name in ("mlflow_run_id", "mlflow_model_version") if name in result}
    return {**get_workflow_summary(result), "model": str(kept), **run_of, "timings_s": result["timings_s"]}


def show(console: Console, result: Any, kept: Path, notes: Sequence[str]) -> None:
    """A table of figures, then what is to be minded, then where things lie."""
    model, data = result["model_spec"], result["data"]
    from raypipe.ml.tracking.notes import judged_on

    sides = judged_on(result)
    console.print(
        f"{result['target']}: {result['task']} with {model.algorithm} on {data['rows']:,} rows,"
        f" {len(result['feature_specs'])} features; judged on {sides} ({result['settled_strategy']})",
        markup=False, highlight=False, soft_wrap=True,
    )  # fmt: skip
    table = Table(box=None, padding=(0, 2), show_edge=False)
    for head in ("metric", "value", "95 % interval", "spread of folds", "on training rows"):
        table.add_column(head, justify="left" if head == "metric" else "right")
    for name, one in result["metrics"].items():
        interval = "" if one.interval is None else f"{one.interval[0]:.4g} to {one.interval[1]:.4g}"
        spread = "" if one.std is None else f"± {one.std:.2g}"
        own = result["train_metrics"].get(name)
        table.add_row(Text(name), _figure(one.value), interval, spread, _figure(own))
    console.print(table)
    told = tuple(result["skipped"].values())  # On standard error, each by itself.
    minded = [text for text in result["warnings"] if not text.endswith(told or ("\0",))]
    for text in [*notes, *minded][:SHOWN]:
        console.print(f"note: {text}", markup=False, highlight=False, soft_wrap=True)
    lines = [f"model: {kept}", f"files: {kept.parent} (specs, plan, audit, summary, charts)"]
    if result.get("trials"):
        lines.append(f"search: {kept.parent / 'tuning.html'} ({len(result['trials'])} trials)")
    if "mlflow_run_id" in result:
        lines.append(f"MLflow: run {result['mlflow_run_id']} in {result['mlflow_spec'].tracking_uri}")
    if "mlflow_model_version" in result:
        spec = result["mlflow_spec"]
        lines.append(f"registered: {spec.registered_model_name}, version {result['mlflow_model_version']}")
    lines.append(f"next: raypipe predict {kept.parent} NEW_ROWS --out predictions.parquet")
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def tell_skipped(console: Console, skipped: Mapping[str, str]) -> None:
    """Say what is not in the result though it was asked for, and end with the exit code that tells it."""
    for step, why in skipped.items():
        console.print(
            f"warning: {step} was asked for and is not in the result: {why}",
            style="yellow", markup=False, highlight=False, soft_wrap=True,
        )  # fmt: skip
    if skipped:
        raise typer.Exit(IN_PART)


def _figure(value: float | None) -> str:
    return "not available" if value is None else f"{value:.4g}"


def _plain(name: str) -> str:
    """A name that a folder can have."""
    return re.sub(r"[^\w.-]+", "_", name)[:60] or "model"


def main(words: Sequence[str]) -> None:
    """`raypipe train` with these words, as a job runs it."""
    from raypipe.cli.exits import tidy_exit

    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(train)
    with tidy_exit(Console(stderr=True)):
        app(args=list(words), prog_name="jobs.train", standalone_mode=True)
