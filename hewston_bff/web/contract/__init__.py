"""Our addresses and messages as documents that machines read: OpenAPI and AsyncAPI."""
