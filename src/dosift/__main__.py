"""Run the command: ``python -m dosift``."""

from dosift.cli import main

if __name__ == "__main__":
    main()
