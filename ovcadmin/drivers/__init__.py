"""The outside world, each part behind a small interface (`base.py`) that a contract suite holds."""
