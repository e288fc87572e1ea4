"""Limits on clients and on this process."""
