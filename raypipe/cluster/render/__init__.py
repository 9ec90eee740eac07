"""From a `ClusterSpec` to files: pure functions, one module a target."""
