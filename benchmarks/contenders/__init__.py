"""One module a contender: `prepare(task)` before the clock starts, `run(task)` while it runs, `finish()` afterwards.

They are run by `benchmarks.serve` in the interpreter of their environment, and import nothing of the harness.
"""
