"""The command `raypipe`. Environment variables are read here, and become ordinary settings."""

from raypipe.cli.main import app, main

__all__ = ["app", "main"]
