"""A backtest run as a topic."""
