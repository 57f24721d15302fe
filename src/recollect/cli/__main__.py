"""`python -m recollect.cli`: the command line where the command is not on the path."""

from recollect.cli import main

main()
