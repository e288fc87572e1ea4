"""The kind `bus`: a trading node's message bus, or any writer's Redis Streams."""
