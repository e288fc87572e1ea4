"""Clients: their sockets and event streams."""
