"""What is not the service: simulator, load test, terminal viewer; loaded only when called for."""
