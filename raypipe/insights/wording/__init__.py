"""The words of findings and of the report: a catalogue a language, and the template of the report."""
