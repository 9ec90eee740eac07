"""Findings about data: relations to a target, the course over time, insights with their evidence, and the report."""
