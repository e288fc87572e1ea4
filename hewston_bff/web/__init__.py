"""HTTP handlers: parse, ask the hub, respond."""
