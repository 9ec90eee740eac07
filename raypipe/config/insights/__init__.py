"""Settings of the analysis, a file a subject."""
