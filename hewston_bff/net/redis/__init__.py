"""Redis, shared by processes."""
