"""The target looked at closely: leaks, baselines, segments and drift, on a sample of rows."""
