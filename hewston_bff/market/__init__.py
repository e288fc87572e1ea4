"""What is computed of bars, equity and orders. Pure; numpy lives here."""
