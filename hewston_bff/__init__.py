"""A WebSocket multiplexer and Backend-for-Frontend: one upstream per run, one log, many cursors."""

__version__ = "0.1.0"
