"""What the columns of a table are: semantic types, keys and dependencies, found over every block."""

from raypipe.etl.infer.found import CandidateKey, Dependency, InferredColumn, InferredSchema
from raypipe.etl.infer.inferrer import SchemaInferrer

__all__ = ["CandidateKey", "Dependency", "InferredColumn", "InferredSchema", "SchemaInferrer"]
