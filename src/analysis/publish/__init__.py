"""Run notebooks by path, turn them into pages that can be forwarded, and file them under `reports/`."""
