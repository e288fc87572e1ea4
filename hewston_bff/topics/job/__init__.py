"""Jobs: what workers do in the background, as topics: every update is an event."""
