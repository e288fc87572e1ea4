"""REST use cases: they answer callers, not requests."""
