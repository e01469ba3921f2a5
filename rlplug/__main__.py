"""`python -m rlplug` is `rlplug`."""

import sys

from rlplug.cli.main import run

sys.exit(run())
