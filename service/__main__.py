"""`python -m service` is the `claimline` command."""

from service.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
