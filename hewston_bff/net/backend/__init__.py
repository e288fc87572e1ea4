"""The platform's backend over HTTP, WebSocket and Server-Sent Events."""
