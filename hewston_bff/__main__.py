"""`python -m hewston_bff`."""

from hewston_bff.cli.main import main

if __name__ == "__main__":
    main()
