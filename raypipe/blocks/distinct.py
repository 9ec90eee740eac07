"""How many different values: HyperLogLog over 64-bit hashes, filled and merged with whole-array operations."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from raypipe.blocks.arrays import Hashes
from raypipe.blocks.runs import starts_of_runs

_BITS = 14
_REGISTERS = 1 << _BITS
_TAIL = 64 - _BITS
_FEW = 16

RELATIVE_ERROR = 1.04 / math.sqrt(_REGISTERS)
"""Standard error of the estimate relative to it."""


@dataclass(frozen=True, slots=True)
class HyperLogLog:
    """Registers of a HyperLogLog: uint8, shape (16384,). Merging is exact, commutative and idempotent."""

    registers: npt.NDArray[np.uint8]

    @classmethod
    def empty(cls) -> Self:
        """No value seen."""
        return cls(np.zeros(_REGISTERS, np.uint8))

    @classmethod
    def of_sorted(cls, hashes: Hashes) -> Self:
        """From hashes in ascending order.

        A register wants the most leading zeros among its hashes, which its smallest hash has, and that one comes
        first.
        """
        return cls._of_smallest(hashes[starts_of_runs(hashes >> np.uint64(_TAIL))])

    @classmethod
    def of(cls, hashes: Hashes) -> Self:
        """From hashes in any order.

        Their upper halves are sorted, in half the time; the lower ones are looked at where those say too little, which
        is one hash in 2**18.
        """
        upper = np.sort((hashes >> np.uint64(32)).astype(np.uint32))
        first = upper[starts_of_runs(upper >> np.uint32(_TAIL - 32))].astype(np.uint64)
        unclear = first[(first << np.uint64(32 + _BITS)) == 0]
        if len(unclear) > _FEW:
            return cls.of_sorted(np.sort(hashes))
        smallest = first << np.uint64(32)
        for head in unclear:
            smallest[first == head] = hashes[(hashes >> np.uint64(32)) == head].min()
        return cls._of_smallest(smallest)

    @classmethod
    def _of_smallest(cls, smallest: Hashes) -> Self:
        """From the smallest hash of each register that has one."""
        registers = np.zeros(_REGISTERS, np.uint8)
        tails = (smallest << np.uint64(_BITS)) >> np.uint64(_BITS)
        # Tails have 50 bits, so that float64 holds them exactly and frexp gives their bit length.
        registers[smallest >> np.uint64(_TAIL)] = _TAIL - np.frexp(tails.astype(np.float64))[1] + 1
        return cls(registers)

    def merge(self, other: HyperLogLog) -> HyperLogLog:
        """Registers of both together."""
        return HyperLogLog(np.maximum(self.registers, other.registers))

    def estimate(self) -> float:
        """Number of distinct hashes, unbiased over the whole range.

        References
        ----------
        Ertl (2017), New cardinality estimation algorithms for HyperLogLog sketches, algorithm 6.
        """
        shares = np.bincount(self.registers, minlength=_TAIL + 2) / _REGISTERS
        z = _tau(1.0 - float(shares[_TAIL + 1]))
        for level in range(_TAIL, 0, -1):
            z = 0.5 * (z + float(shares[level]))
        z += _sigma(float(shares[0]))
        return _REGISTERS / (2 * math.log(2) * z) if math.isfinite(z) else 0.0


def _sigma(x: float) -> float:
    """Correction for registers still at zero (Ertl, eq. for sigma)."""
    if x == 1.0:
        return math.inf
    weight, z = 1.0, x
    while True:
        x *= x
        before, z = z, z + x * weight
        weight += weight
        if z == before:
            return z


def _tau(x: float) -> float:
    """Correction for registers at their largest value (Ertl, eq. for tau), halved as algorithm 6 uses it."""
    if x in (0.0, 1.0):
        return 0.0
    weight, z = 1.0, 1 - x
    while True:
        x = math.sqrt(x)
        before, weight = z, weight * 0.5
        z -= (1 - x) ** 2 * weight
        if z == before:
            return z / 3
