"""The kinds of topics, a folder each: a pure codec and an asyncio feed, no sockets."""
