"""`run_ml_workflow`: the steps in their order, each optional one in a net of its own."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from raypipe._optional import require_extra
from raypipe.errors import ConfigError
from raypipe.ml.card import facts_of
from raypipe.ml.data import TrainingData, training_data
from raypipe.ml.metrics import metrics_for
from raypipe.ml.model import Recipe
from raypipe.ml.specs.features import FeatureSelectionSpec, FeatureSpec
from raypipe.ml.specs.models import ModelSpec, Task
from raypipe.ml.specs.validation import WITHOUT_FOLDS, ValidationSpec
from raypipe.ml.splits import Fold, folds, hold_out, settled
from raypipe.ml.workflow.attempt import Attempts
from raypipe.ml.workflow.crossfit import FoldWork, Place, crossfit
from raypipe.ml.workflow.given import deadline_of, engine_named, only_enabled, rows_for_test, rows_from_store
from raypipe.ml.workflow.judge import judged_by_folds, judged_on_test, on_own_rows
from raypipe.ml.workflow.plan import settle_features
from raypipe.ml.workflow.result import WorkflowResult
from raypipe.ml.workflow.trial import FoldFit, OutOfFold, fitted_on, out_of_fold

if TYPE_CHECKING:
    from raypipe.ml.specs.calibration import CalibrationSpec
    from raypipe.ml.specs.store import FeatureStoreSpec
    from raypipe.ml.specs.tracking import MLflowSpec
    from raypipe.ml.specs.tuning import TuningSpec
    from raypipe.ml.tracking.tracker import Tracker
    from raypipe.ml.tuning.outcome import TuningOutcome


def build_ml_pipeline(
    feature_specs: Sequence[FeatureSpec], model_spec: ModelSpec, task: Task | None = None, random_state: int = 42
) -> Any:
    """The unfitted scikit-learn pipeline that specs describe: `preprocessor`, then `classifier` or `regressor`.

    Parameters
    ----------
    task : {"classification", "regression"}, optional
        Wanted where the model spec does not say it.
    """
    require_extra("ml", "build_ml_pipeline")
    found = model_spec.task or task
    if found is None:
        raise ConfigError(
            f"model {model_spec.model_name!r}: a ModelSpec takes its task from the target; give task=, or a"
            " ClassifierModelSpec or RegressorModelSpec"
        )
    return Recipe(tuple(feature_specs), model_spec, found, random_state).make()


def run_ml_workflow(  # noqa: PLR0913 - the signature that users of the older system know
    feature_specs: Sequence[FeatureSpec] | None,
    model_spec: ModelSpec,
    X: Any = None,  # noqa: N803
    y: Any = None,
    validation_strategy: str = "cross_validation",
    validation_params: Mapping[str, Any] | None = None,
    test_size: float = 0.2,
    random_state: int = 42,
    X_test: Any = None,  # noqa: N803
    y_test: Any = None,
    tuning_spec: TuningSpec | None = None,
    calibration_spec: CalibrationSpec | None = None,
    mlflow_spec: MLflowSpec | None = None,
    feature_store_spec: FeatureStoreSpec | None = None,
    *,
    selection_spec: FeatureSelectionSpec | None = None,
    output_dir: str | Path | None = None,
    time_limit_s: float | None = None,
    engine: Literal["auto", "ray", "inline"] = "auto",
    ray_address: str | None = None,
    data_source: Mapping[str, Any] | None = None,
) -> WorkflowResult:
    """Learn, judge and tell, as the specs say.

    Steps that a model can do without (search, calibration, tracking, feature store) end in a warning where they fail,
    and `result["skipped"]` says why.

    Parameters
    ----------
    feature_specs : sequence of FeatureSpec, optional
        None: of every column that can tell something, by its type; what is left out is told.
    X : table
        Of pandas, polars, Arrow, Modin, a Frame, a Ray Dataset, or an array. With a feature store: not needed, or its
        entity rows (`FeatureStoreSpec.entity_rows_given`), or what is learnt from should the store fail.
    y : column, or str
        The target, or the column of `X` that holds it.
    validation_strategy : str
        See `ValidationSpec.strategy`. A search is judged on rows that it did not see: with folds, a share of
        `test_size` is held back for it; `nested` searches again inside each fold.
    validation_params : mapping, optional
        Further settings of `ValidationSpec`, such as n_splits, group_column, time_column.
    X_test, y_test : table and column, optional
        Rows that stay untouched until the model is judged on them at the end.
    output_dir : path, optional
        Where the journal of a search, charts and the default MLflow store lie; None: beside the working folder's
        `output`.
    time_limit_s : float, optional
        Seconds for the whole; a search ends in time to leave room for what comes after it, and folds for which there is
        no time are left out and told.
    engine : {"auto", "ray", "inline"}
        Where folds are fitted. auto: on Ray where this process is connected to one and the work is worth the way. The
        figures are the same. A search has a setting of its own.
    ray_address : str, optional
        Cluster on which folds are fitted; None: the one that this process is connected to, else a private Ray.
    data_source : mapping, optional
        Where `X` is from, as `raypipe.etl.provenance` tells it; kept with the model and its run.

    Returns
    -------
    WorkflowResult
        The fitted pipeline and everything known about how good it is.

    Raises
    ------
    ConfigError
        Specs or rows that cannot work, said before anything is learnt.
    """
    require_extra("ml", "run_ml_workflow")
    if not model_spec.enabled:
        raise ConfigError(f"model {model_spec.model_name!r} is not enabled; set enabled to true to learn it")
    validation = ValidationSpec.from_dict(
        {"strategy": validation_strategy, "test_size": test_size, **(validation_params or {})}, "validation"
    )
    options = Options(
        seed=random_state,
        selection=only_enabled(selection_spec),
        tuning=only_enabled(tuning_spec),
        calibration=only_enabled(calibration_spec),
        mlflow=only_enabled(mlflow_spec),
        output_dir=Path(output_dir or "output"),
        deadline=deadline_of(time_limit_s),
        fold_engine=engine_named(engine),
        ray_address=ray_address,
    )
    attempts = Attempts()
    stored: dict[str, Any] = {}
    columns = (validation.group_column, validation.time_column, validation.fold_column)
    store = only_enabled(feature_store_spec)
    if store is not None:
        X, y, stored = rows_from_store(store, (X, y), columns, attempts)  # noqa: N806
    data = training_data(X, y, model_spec.task, columns)
    test = rows_for_test((X_test, y_test), y, data, columns)
    work = _Work(feature_specs, model_spec, validation, (data, test), options, attempts)
    given = store is None or store.entity_rows_given or not stored["feature_store_enabled"]
    if data_source is not None and given:
        stored["data_source"] = dict(data_source)
    result = work.tracked(stored)
    result.update(stored)
    return result


@dataclass(frozen=True)
class Options:
    """What a workflow does beside learning and judging; None: not done."""

    seed: int = 42
    selection: FeatureSelectionSpec | None = None
    tuning: TuningSpec | None = None
    calibration: CalibrationSpec | None = None
    mlflow: MLflowSpec | None = None
    output_dir: Path = Path("output")
    deadline: float | None = None
    """By `time.monotonic()`."""
    fold_engine: Literal["auto", "ray", "inline"] = "auto"
    ray_address: str | None = None

    @property
    def place(self) -> Place:
        """Where folds are fitted, and until when."""
        return Place(self.fold_engine, self.ray_address, self.deadline)


@dataclass
class _Work:
    """One workflow, on its way."""

    feature_specs: Sequence[FeatureSpec] | None
    model_spec: ModelSpec
    validation: ValidationSpec
    rows: tuple[TrainingData, TrainingData | None]
    """Those to work with, and those that were given for the test."""
    options: Options
    attempts: Attempts
    timings: dict[str, float] = field(default_factory=dict)

    def tracked(self, stored: Mapping[str, Any]) -> WorkflowResult:
        """All steps, as a run of MLflow where that is asked for; a run that fails is closed as failed."""
        tracker = self._tracker()
        if tracker is None:
            return self._run()
        try:
            result = self._run()
            logged = self.attempts.optional("MLflow logging", lambda: tracker.log({**result, **stored}, self.rows[0]))
        except BaseException as error:  # Ctrl-C, too: else the run would seem to go on for ever
            cause = error
            self.attempts.optional("MLflow", lambda: tracker.fail(cause))
            raise
        result.update(logged or tracker.facts())
        self.attempts.optional("MLflow", lambda: tracker.end(ok=logged is not None))
        return result

    def _tracker(self) -> Tracker | None:
        spec = self.options.mlflow
        if spec is None:
            return None
        from raypipe.ml.tracking.tracker import Tracker

        return self.attempts.optional("MLflow", lambda: Tracker.start(spec, self.options.output_dir))

    def _run(self) -> WorkflowResult:
        data = self.rows[0]
        split = self._split()
        train = data if split is None else data.take(split[0])
        held = self.rows[1] or (data.take(split[1]) if split is not None else None)
        recipe, left = self._recipe(train)
        for note in data.notes:
            self.attempts.warn(note)
        metrics = metrics_for(data.task, self.model_spec.evaluation_metrics)
        judges = self.validation.strategy not in WITHOUT_FOLDS
        parts = folds(self.validation, train, self.options.seed) if judges else []  # What cannot be is said first.
        tried = (
            (train, held) if held is not None else (train.take(parts[0][0]), train.take(parts[0][1])) if parts else None
        )
        found = self._audit(split, recipe.features, tried)
        tuned = self._search(recipe, train)
        params = tuned.params if tuned is not None else {}
        # First the model, then how good it is: where the time is short, there is a model.
        with self._timed("fit"):
            pipeline = fitted_on(recipe, train, params)
        result = WorkflowResult(
            pipeline=pipeline,
            model_spec=self.model_spec,
            feature_specs=list(recipe.features),
            validation_strategy=self.validation.strategy,
            settled_strategy=settled(self.validation, data),
            task=data.task,
            target=data.target,
            labels=None if data.task == "regression" else data.classes.tolist(),
            metric=metrics[0],
            left_out=left,
            audit=found,
            best_params=params,
        )
        result.update(facts_of(train, recipe.features))
        if tuned is not None:
            result.update(tuning_summary=tuned.summary, trials=tuned.trials)
        fits = self._cross_validate(result, recipe, train, parts)
        cv = out_of_fold(train, fits) if fits else None
        calibrated = self._calibrate(result, recipe, train, (parts, fits))
        if calibrated is not None and len(calibrated.folds) != len(parts):
            self.attempts.warn(
                f"the metrics are those of the calibrated model, over the {len(calibrated.folds)} folds of its"
                f" calibration, and not over the {len(parts)} of the validation"
            )
        cv = calibrated or cv
        self._judge(result, (train, held), cv, metrics)
        result.update(
            warnings=self.attempts.warnings,
            skipped=self.attempts.skipped,
            timings_s=self.timings,
            random_state=self.options.seed,
        )
        return result

    def _recipe(self, train: TrainingData) -> tuple[Recipe, dict[str, str]]:
        leave = [name for name in (self.validation.time_column,) if name]
        features, left = settle_features(self.feature_specs, self.options.selection, train.X, leave)
        weighed = isinstance(self.model_spec.class_weight, dict) and train.task == "classification"
        labels = tuple(train.classes.tolist()) if weighed else None
        recipe = Recipe(features, self.model_spec, train.task, self.options.seed, labels)
        recipe.make()  # What cannot work is said before anything is learnt.
        return recipe, left

    def _split(self) -> Fold | None:
        """Rows held back: those of a single split, and those on which a search is judged."""
        searched = self.options.tuning is not None and self.validation.strategy not in ("nested", "none")
        if self.rows[1] is not None or not (self.validation.strategy == "train_test" or searched):
            return None
        return hold_out(self.validation, self.rows[0], self.options.seed)

    def _audit(
        self, split: Fold | None, features: Sequence[FeatureSpec], tried: tuple[TrainingData, TrainingData] | None
    ) -> list[Any]:
        from raypipe.ml.audit import audit

        names = tuple(str(spec.place) for spec in features if spec.kind != "interaction")
        with self._timed("audit"):
            found = self.attempts.optional("leakage audit", lambda: audit(self.rows[0], split, names, tried)) or []
        for one in found:
            self.attempts.warn(one.message)
        return found

    def _search(self, recipe: Recipe, train: TrainingData, to_come: int | None = None) -> TuningOutcome | None:
        """Search on these rows, with a fair share of the time where further searches come."""
        spec = self.options.tuning
        if spec is None:
            return None
        options = self.options
        if to_come is None:
            to_come = self.validation.n_splits if self.validation.strategy == "nested" else 0
        if options.deadline is not None and to_come:
            now = time.monotonic()
            options = replace(options, deadline=now + (options.deadline - now) / (to_come + 1))
        from raypipe.ml.tuning.search import search

        with self._timed("tuning"):
            return self.attempts.optional("tuning", lambda: search(spec, recipe, train, self.validation, options))

    def _cross_validate(
        self, result: WorkflowResult, recipe: Recipe, train: TrainingData, parts: Sequence[Fold]
    ) -> tuple[FoldFit, ...]:
        """What the model says of rows that folds held back; nothing where there are no folds, or no time for one."""
        if not parts:
            return ()
        with self._timed("cross_validation"):
            params = tuple(
                self._params(result, recipe, train, (fold, len(parts) - 1 - i)) for i, fold in enumerate(parts)
            )
            done = crossfit(FoldWork(recipe, train, tuple(parts), params), self.options.place, self.timings["fit"])
        result["cross_validation"] = done.told()
        if done.lacks:
            self.attempts.lacks("cross-validation", done.lacks + (", and there is no figure" if not done.fits else ""))
        return done.fits

    def _params(
        self, result: WorkflowResult, recipe: Recipe, train: TrainingData, place: tuple[Fold, int]
    ) -> Mapping[str, Any]:
        """Those of a fold: nested, it has a search of its own, on its own rows."""
        if self.validation.strategy != "nested" or self.options.tuning is None:
            return dict(result["best_params"])
        own = self._search(recipe, train.take(place[0][0]), place[1])
        return dict(result["best_params"] if own is None else own.params)

    def _calibrate(
        self,
        result: WorkflowResult,
        recipe: Recipe,
        train: TrainingData,
        seen: tuple[Sequence[Fold], tuple[FoldFit, ...]],
    ) -> OutOfFold | None:
        """The calibrated model in place of the other; what it said out of fold, where the folds are to judge it."""
        options, spec = self.options, self.options.calibration
        if spec is None:
            return None
        from raypipe.ml.calibration.calibrate import calibrate
        from raypipe.ml.calibration.held import Known

        nested = self.validation.strategy == "nested"  # Its folds have parameters of their own.
        known = None if nested else Known(*seen)
        with self._timed("calibration"):
            done = self.attempts.optional(
                "calibration",
                lambda: calibrate(
                    spec,
                    (recipe, result["best_params"], result["pipeline"]),
                    train,
                    self.validation,
                    options.place,
                    known,
                ),
            )
        if done is None:
            return None
        for text in done.warnings:
            self.attempts.warn(text)
        result.update(uncalibrated_pipeline=result["pipeline"], pipeline=done.model, calibration_summary=done.summary)
        if nested:
            self.attempts.warn(
                "the metrics are those of the nested folds, before calibration; those after it are in"
                " calibration_summary"
            )
            return None
        return done.out_of_fold if self.validation.strategy not in WITHOUT_FOLDS else None

    def _judge(
        self,
        result: WorkflowResult,
        sides: tuple[TrainingData, TrainingData | None],
        cv: OutOfFold | None,
        metrics: Sequence[str],
    ) -> None:
        train, held = sides
        seed = self.options.seed
        result["train_metrics"] = on_own_rows(result["pipeline"], train, metrics)
        with self._timed("judge"):
            if cv is not None:
                result.update(judged_by_folds(cv, train, metrics, seed))
            if held is not None:
                tested = judged_on_test(result["pipeline"], (train, held), metrics, seed, self.attempts)
                result.update(tested)
                if cv is None or self.options.tuning is not None:
                    # Folds that a search has seen say too much: the rows held back decide.
                    result["metrics"] = tested["test_metrics"]
        result.setdefault("metrics", {})

    @contextmanager
    def _timed(self, step: str) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            self.timings[step] = self.timings.get(step, 0.0) + time.perf_counter() - started
