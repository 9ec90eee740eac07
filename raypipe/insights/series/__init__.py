"""Time series: steps and gaps, trend, seasons, changes, anomalies and forecasts over the buckets of the time column."""
