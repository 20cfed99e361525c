"""`python -m talkinghead`."""

from talkinghead.cli import main

if __name__ == "__main__":
    main()
