"""Computations over bars, equity and orders. Pure; uses numpy."""
