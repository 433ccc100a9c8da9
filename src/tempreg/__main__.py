"""`python -m tempreg`: the command line."""

import sys

from tempreg.cli.main import main

sys.exit(main())
