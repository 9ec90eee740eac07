"""`run_ml_workflow`: the steps in their order, each optional one in a net of its own."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from raypipe._optional import require_extra
from raypipe.errors import ConfigError
from raypipe.ml.data import TrainingData, training_data
from raypipe.ml.metrics import Score, compute, metrics_for, score
from raypipe.ml.model import Recipe, estimates, truth_of
from raypipe.ml.specs.features import FeatureSelectionSpec, FeatureSpec
from raypipe.ml.specs.models import ModelSpec, Task
from raypipe.ml.specs.validation import ValidationSpec
from raypipe.ml.splits import Fold, folds, hold_out, settled
from raypipe.ml.workflow.attempt import Attempts
from raypipe.ml.workflow.plan import settle_features
from raypipe.ml.workflow.result import WorkflowResult
from raypipe.ml.workflow.trial import OutOfFold, fit_fold, fitted_on, out_of_fold

WITHOUT_FOLDS = frozenset({"train_test", "none"})


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
    X: Any,  # noqa: N803
    y: Any,
    validation_strategy: str = "cross_validation",
    validation_params: Mapping[str, Any] | None = None,
    test_size: float = 0.2,
    random_state: int = 42,
    X_test: Any = None,  # noqa: N803
    y_test: Any = None,
    *,
    selection_spec: FeatureSelectionSpec | None = None,
) -> WorkflowResult:
    """Learn, judge and tell, as the specs say.

    Parameters
    ----------
    feature_specs : sequence of FeatureSpec, optional
        None: of every column that can tell something, by its type; what is left out is told.
    X : table
        Of pandas, polars, Arrow, Modin, a Frame, a Ray Dataset, or an array.
    y : column, or str
        The target, or the column of `X` that holds it.
    validation_strategy : str
        See `ValidationSpec.strategy`.
    validation_params : mapping, optional
        Further settings of `ValidationSpec`, such as n_splits, group_column, time_column.
    X_test, y_test : table and column, optional
        Rows that stay untouched until the model is judged on them at the end.

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
    columns = (validation.group_column, validation.time_column, validation.fold_column)
    data = training_data(X, y, model_spec.task, columns)
    test = None
    if X_test is not None:
        test = training_data(X_test, y if y_test is None else y_test, data.task, columns)
    work = _Work(feature_specs, model_spec, validation, data, test, random_state, selection_spec)
    return work.run()


@dataclass
class _Work:
    """One workflow, on its way."""

    feature_specs: Sequence[FeatureSpec] | None
    model_spec: ModelSpec
    validation: ValidationSpec
    data: TrainingData
    test: TrainingData | None
    seed: int
    selection: FeatureSelectionSpec | None = None
    attempts: Attempts = field(default_factory=Attempts)
    timings: dict[str, float] = field(default_factory=dict)
    params: dict[str, Any] = field(default_factory=dict)
    """Found by a search."""

    def run(self) -> WorkflowResult:
        """All steps."""
        split = self._split()
        train = self.data if split is None else self.data.take(split[0])
        held = self.test or (self.data.take(split[1]) if split is not None else None)
        leave = [name for name in (self.validation.time_column,) if name]
        features, left = settle_features(self.feature_specs, self.selection, train.X, leave)
        recipe = Recipe(features, self.model_spec, self.data.task, self.seed)
        recipe.make(**self.params)  # What cannot work is said before anything is learnt.
        for note in self.data.notes:
            self.attempts.warn(note)
        found = self._audit(split, features)
        metrics = metrics_for(self.data.task, self.model_spec.evaluation_metrics)
        cv = self._cross_validate(recipe, train, metrics)
        with self._timed("fit"):
            pipeline = fitted_on(recipe, train, self.params)
        result = WorkflowResult(
            pipeline=pipeline,
            model_spec=self.model_spec,
            feature_specs=list(features),
            validation_strategy=self.validation.strategy,
            settled_strategy=settled(self.validation, self.data),
            task=self.data.task,
            target=self.data.target,
            labels=None if self.data.task == "regression" else self.data.classes.tolist(),
            metric=metrics[0],
            left_out=left,
            audit=found,
        )
        self._judge(result, (train, held), cv, metrics)
        result.update(
            warnings=self.attempts.warnings,
            skipped=self.attempts.skipped,
            timings_s=self.timings,
            random_state=self.seed,
        )
        return result

    def _split(self) -> Fold | None:
        if self.test is not None or self.validation.strategy != "train_test":
            return None
        return hold_out(self.validation, self.data, self.seed)

    def _audit(self, split: Fold | None, features: Sequence[FeatureSpec]) -> list[Any]:
        from raypipe.ml.audit import audit

        names = tuple(str(spec.place) for spec in features if spec.kind != "interaction")
        with self._timed("audit"):
            found = self.attempts.optional("leakage audit", lambda: audit(self.data, split, names)) or []
        for one in found:
            self.attempts.warn(one.message)
        return found

    def _cross_validate(self, recipe: Recipe, train: TrainingData, metrics: Sequence[str]) -> OutOfFold | None:
        if self.validation.strategy in WITHOUT_FOLDS:
            return None
        with self._timed("cross_validation"):
            parts = folds(self.validation, train, self.seed)
            return out_of_fold(train, [fit_fold(recipe, train, fold, self.params) for fold in parts])

    def _judge(
        self,
        result: WorkflowResult,
        sides: tuple[TrainingData, TrainingData | None],
        cv: OutOfFold | None,
        metrics: Sequence[str],
    ) -> None:
        train, held = sides
        labels = None if train.task == "regression" else train.classes
        result["train_metrics"] = self._on_rows(result["pipeline"], train, metrics)
        with self._timed("judge"):
            if cv is not None:
                groups = None if train.groups is None else train.groups[cv.places]
                told = score(metrics, cv.truth, cv.folds, groups, self.seed)
                main = told[metrics[0]]
                values = [value for value in main.fold_values if value is not None]
                result.update(
                    metrics=told,
                    cv_score=float(np.mean(values)) if values else None,
                    cv_std=main.std,
                    cv_scores=list(main.fold_values),
                )
            if held is not None:
                known = held if labels is None else self._known(held, train)
                truth = truth_of(known, estimates(result["pipeline"], known, labels), labels)
                tested: dict[str, Score] = score(metrics, truth, groups=known.groups, seed=self.seed)
                result.update(
                    test_metrics=tested,
                    test_score=tested[metrics[0]].value,
                    train_size=train.rows,
                    test_size=held.rows,
                )
                result.setdefault("metrics", tested)
        result.setdefault("metrics", {})

    def _known(self, held: TrainingData, train: TrainingData) -> TrainingData:
        """The rows of the test whose class was there to learn."""
        known = np.isin(held.y, train.classes)
        if not known.all():
            self.attempts.warn(
                f"{int((~known).sum()):,} rows of the test have a class that no training row has; they count in no"
                " metric"
            )
        if not known.any():
            raise ConfigError("validation: no row of the test has a class of the training rows; check the labels")
        return held.take(np.flatnonzero(known))

    def _on_rows(self, pipeline: Any, data: TrainingData, metrics: Sequence[str]) -> dict[str, float | None]:
        labels = None if data.task == "regression" else data.classes
        truth = truth_of(data, estimates(pipeline, data, labels), labels)
        return {name: compute(name, truth) for name in metrics}

    @contextmanager
    def _timed(self, step: str) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            self.timings[step] = self.timings.get(step, 0.0) + time.perf_counter() - started
