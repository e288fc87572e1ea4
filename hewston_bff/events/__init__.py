"""Events of topics, as values: ids, patterns, what may be merged, the ring that holds them."""
