"""`python -m dialoeval`: the command line."""

from dialoeval.cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
