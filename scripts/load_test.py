#!/usr/bin/env python3
"""The load test as a script: the same as `hewston-bff loadtest`; --help lists the options."""

import typer

from hewston_bff.cli.loadtest import loadtest

if __name__ == "__main__":
    typer.run(loadtest)
