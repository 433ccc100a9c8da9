"""`python -m tempreg`: the command line."""

import sys

from tempreg.cli.main import program

sys.exit(program())
