"""`python -m stegano_tf` is the command `stegano-tf`."""

from stegano_tf import commands

commands.run()
