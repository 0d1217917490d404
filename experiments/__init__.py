"""What was measured to choose defaults: one command each, `python -m experiments.NAME --help`, results as CSV."""
