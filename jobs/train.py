"""Entry point for `ray job submit -- python -m jobs.train FILE --target COLUMN`: the words of `raypipe train`.

The job runs on the cluster that it was submitted to; file and folder have to be where its nodes see them.
"""

from __future__ import annotations

import sys

from raypipe.cli.train import main

if __name__ == "__main__":
    main(sys.argv[1:])
