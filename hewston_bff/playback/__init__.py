"""A cursor in a log and the rule by which it moves. Pure: time comes in as an argument."""
