"""Published statements in, resolved audits out: everything between `data/raw` and `data/processed`."""
