"""Entry point for `ray job submit -- python -m jobs.run_pipeline CONFIG`: config in, pipeline out.

The job runs on the cluster that it was submitted to; settings of the file may be overridden as `name.part=value`.
`raypipe submit CONFIG` does the same with checks before it, and packs all that is needed.
"""

from __future__ import annotations

import sys

from raypipe.cli.job import main

if __name__ == "__main__":
    main(sys.argv[1:])
