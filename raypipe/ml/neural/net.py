"""A plain network, its optimiser, and epochs of it; what it knows can be taken out as arrays and put back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
FIRST_BETA, SECOND_BETA = 0.9, 0.999
"""Of Adam, as torch has them (Kingma and Ba, 2015)."""
SCORED_ROWS = 8_192
"""Rows that are scored at once, so that memory does not grow with the table."""


@dataclass(frozen=True)
class Shape:
    """What a network looks like."""

    inputs: int
    outputs: int
    width: int = 128
    """Of each hidden layer."""
    depth: int = 2
    """Hidden layers; 0: a linear model."""

    @property
    def sizes(self) -> tuple[int, ...]:
        """Of the layers, the first and last one with them."""
        return (self.inputs, *[self.width] * self.depth, self.outputs)


@dataclass(frozen=True)
class Pace:
    """How a network learns; may change from epoch to epoch."""

    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    dropout: float = 0.1
    batch_size: int = 256


@dataclass(frozen=True)
class Rows:
    """What is learnt from: features, dense or sparse, and targets with their weights."""

    X: Any
    y: Array
    """Numbers of classes, or float32."""
    weight: NDArray[np.float32]

    def take(self, places: NDArray[np.int64]) -> Rows:
        """The rows at these places."""
        return Rows(self.X[places], self.y[places], self.weight[places])

    def __len__(self) -> int:
        return len(self.y)


def dense(rows: Any) -> NDArray[np.float32]:
    """A batch as a dense array."""
    return np.asarray(rows.toarray() if hasattr(rows, "toarray") else rows, dtype=np.float32)


def forward(weights: Sequence[Array], rows: Any) -> NDArray[np.float32]:
    """What a network says of rows, in numpy alone: a model scores where there is no torch."""
    last = len(weights) // 2 - 1
    found = []
    for start in range(0, rows.shape[0], SCORED_ROWS):
        values = dense(rows[start : start + SCORED_ROWS])
        for layer in range(last + 1):
            values = values @ weights[2 * layer] + weights[2 * layer + 1]
            if layer < last:
                np.maximum(values, 0.0, out=values)
        found.append(values)
    return np.concatenate(found) if found else np.zeros((0, len(weights[-1])), np.float32)


class Learner:
    """A network on its way. Seeded by numbers, never by the state of torch, which it leaves as it was."""

    def __init__(self, shape: Shape, loss: Literal["classes", "number"], seed: int, device: str = "cpu") -> None:
        self.shape, self.loss, self.seed, self.device = shape, loss, seed, device
        self.epochs = 0
        rng = np.random.default_rng(seed)
        layers = []
        for inputs, outputs in zip(shape.sizes[:-1], shape.sizes[1:], strict=True):
            bound = np.sqrt(6.0 / inputs) if outputs != shape.outputs else np.sqrt(1.0 / inputs)  # He et al., 2015
            layers += [rng.uniform(-bound, bound, (inputs, outputs)), np.zeros(outputs)]
        self._set(layers, [np.zeros_like(one) for one in layers], [np.zeros_like(one) for one in layers])
        self._steps = 0

    def _set(self, weights: Sequence[Array], means: Sequence[Array], squares: Sequence[Array]) -> None:
        import torch

        def moved(values: Sequence[Array]) -> list[Any]:
            return [torch.tensor(np.asarray(one, np.float32), device=self.device) for one in values]

        self._weights, self._means, self._squares = moved(weights), moved(means), moved(squares)
        for one in self._weights:
            one.requires_grad_(True)

    @property
    def weights(self) -> list[NDArray[np.float32]]:
        """Of each layer its matrix, inputs by outputs, then its offsets."""
        return [one.detach().cpu().numpy().copy() for one in self._weights]

    @weights.setter
    def weights(self, values: Sequence[Array]) -> None:
        self._set(values, [np.zeros_like(one) for one in values], [np.zeros_like(one) for one in values])
        self._steps = 0

    def state(self) -> dict[str, Array]:
        """All that another learner of this shape needs to go on from here."""
        sides = {"weight": self._weights, "mean": self._means, "square": self._squares}
        arrays = {
            f"{side}_{i}": one.detach().cpu().numpy() for side, all_ in sides.items() for i, one in enumerate(all_)
        }
        return {**arrays, "counts": np.array([self._steps, self.epochs], np.int64)}

    def load(self, state: Mapping[str, Array]) -> None:
        """Go on from there."""
        places = range(2 * (self.shape.depth + 1))
        self._set(*([state[f"{side}_{i}"] for i in places] for side in ("weight", "mean", "square")))
        self._steps, self.epochs = (int(one) for one in state["counts"])

    def epoch(self, rows: Rows, pace: Pace) -> float:
        """Learn once from all rows, in an order of this epoch; gives the mean loss."""
        import torch

        rng = np.random.default_rng((self.seed, self.epochs))
        order = rng.permutation(len(rows))
        total = 0.0
        with _one_thread(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(rng.integers(2**31)))
            for start in range(0, len(order), pace.batch_size):
                batch = rows.take(order[start : start + pace.batch_size])
                total += self._step(batch, pace) * len(batch)
        self.epochs += 1
        return total / max(len(rows), 1)

    def _step(self, batch: Rows, pace: Pace) -> float:
        import torch

        values = torch.from_numpy(dense(batch.X)).to(self.device)
        last = len(self._weights) // 2 - 1
        for layer in range(last + 1):
            values = torch.addmm(self._weights[2 * layer + 1], values, self._weights[2 * layer])
            if layer < last:
                values = torch.nn.functional.dropout(torch.relu(values), pace.dropout)
        target = torch.from_numpy(np.ascontiguousarray(batch.y)).to(self.device)
        weight = torch.from_numpy(batch.weight).to(self.device)
        if self.loss == "classes":
            each = torch.nn.functional.cross_entropy(values, target, reduction="none")
        else:
            each = (values[:, 0] - target) ** 2
        loss = (each * weight).mean()
        gradients = torch.autograd.grad(loss, self._weights)
        self._adam(gradients, pace)
        return float(loss.detach())

    def _adam(self, gradients: Sequence[Any], pace: Pace) -> None:
        """A step of Adam with decay apart from the gradient (Loshchilov and Hutter, 2019); offsets do not decay."""
        import torch

        self._steps += 1
        first, second = 1 - FIRST_BETA**self._steps, 1 - SECOND_BETA**self._steps
        with torch.no_grad():
            for i, gradient in enumerate(gradients):
                weight, mean, square = self._weights[i], self._means[i], self._squares[i]
                if i % 2 == 0:
                    weight.mul_(1 - pace.learning_rate * pace.weight_decay)
                mean.mul_(FIRST_BETA).add_(gradient, alpha=1 - FIRST_BETA)
                square.mul_(SECOND_BETA).addcmul_(gradient, gradient, value=1 - SECOND_BETA)
                weight.addcdiv_(mean, (square / second).sqrt_().add_(1e-8), value=-pace.learning_rate / first)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Sums in one order, and no threads that wait for those of the trial beside."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
