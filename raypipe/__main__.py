"""`python -m raypipe` is the command `raypipe`."""

from raypipe.cli.main import main

if __name__ == "__main__":
    main()
