"""`python -m stegano_tf` is the command `stegano-tf`."""

import signal


def run() -> None:
    """The console script."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C is quiet from the first import on
    from stegano_tf import commands  # noqa: PLC0415

    commands.run()


if __name__ == "__main__":
    run()
