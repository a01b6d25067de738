"""`bridge.toml` and `units.toml`: shape, reading, checks; a refusal names place and mend."""
