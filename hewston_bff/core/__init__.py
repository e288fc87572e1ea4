"""The rules of the multiplexer: plain Python, no I/O and no clock."""
