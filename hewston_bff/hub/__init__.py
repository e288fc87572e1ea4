"""Channels, audiences, viewers, permits and the ticker, for topics of any kind; no sockets."""
