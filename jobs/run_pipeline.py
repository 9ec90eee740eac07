"""Entry point for `ray job submit -- python -m jobs.run_pipeline CONFIG`: config in, pipeline out.

The job runs on the cluster that it was submitted to; settings of the file may be overridden as `name.part=value`.
"""

from __future__ import annotations

import sys

from raypipe.cli.main import app


def main(arguments: list[str]) -> None:
    """Run the pipeline of the config file named first on the cluster of this job."""
    config, *assignments = arguments
    flags = [flag for assignment in assignments for flag in ("--set", assignment)]
    app(["run", "--config", config, "--address", "auto", *flags])


if __name__ == "__main__":
    main(sys.argv[1:])
