"""Sockets: the backend's on one side, browsers' on the other."""
