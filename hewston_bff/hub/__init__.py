"""Runs, channels, subscriptions and the ticker: asyncio, but no sockets."""
