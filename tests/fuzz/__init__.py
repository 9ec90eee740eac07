"""Mutated files of every format: never a crash, a hang, or a row that is lost in silence."""
