"""A log of any payload: positions, times, blocks, digests, eviction."""
