"""A process that writes, says so in the middle, and waits to be killed: `DEST part|commit|rows`."""

from __future__ import annotations

import sys
import time
from typing import Any

import pyarrow as pa

from raypipe.config import WriteOptions
from raypipe.etl.writers.choose import open_target
from raypipe.etl.writers.target import Target

MARK = "in the middle"
NEW = pa.table({"n": pa.array([2, 3], pa.int64())})


def main() -> None:
    """See the module."""
    dest, moment = sys.argv[1:]
    options: dict[str, Any] = {"mode": "overwrite"}
    if dest.endswith(".db"):
        options["sql"] = {"table": "t"}
    with open_target(dest, WriteOptions.model_validate(options)) as target:
        if moment != "commit":  # what is there by then is the test's own
            target.check(NEW.schema)
        sink = target.sink(NEW.schema)
        receipts = []
        if sink is not None:
            put = sink.open()
            receipts = [put(NEW, "00000/x")]
            if moment == "part":
                put(NEW, "00001/x")
                wait()
            receipts.append(put(NEW, "00001/x"))
            wait_before_the_end(target)
        target.commit(NEW.schema, receipts, blocks)


def blocks() -> Any:
    """Rows of a destination that the driver writes, with a long pause between them."""
    yield NEW
    wait()
    yield NEW


def wait_before_the_end(target: Target) -> None:
    """Stop where the rows are all there and the destination does not have them yet."""
    for name in ("_appear", "_commit_file", "_transact"):
        if hasattr(target, name):
            setattr(target, name, lambda *_: wait())


def wait() -> None:
    """Say it, and wait."""
    print(MARK, flush=True)
    time.sleep(60)


if __name__ == "__main__":
    main()
