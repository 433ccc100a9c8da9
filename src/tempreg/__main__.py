"""`python -m tempreg`: the command line."""

import sys

from tempreg.cli import main

sys.exit(main())
