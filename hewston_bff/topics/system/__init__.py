"""Topics of the kind `system`: how the platform's other services are."""
