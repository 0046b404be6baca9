"""The exceptions that this package raises for bad input.

Every message says what was found, where, and what was expected, so that the command line can print it as its only line.
Programming errors (a wrong dtype handed to a function) stay `TypeError` and `ValueError`.
"""


def one_line(error: Exception) -> str:
    """Returns what another library's error says, for one of these messages: at most 200 characters, or its type.

    Characters that a terminal would obey become question marks: the error may quote a file.
    """
    text = " ".join(str(error).split())[:200].rstrip(".") or type(error).__name__
    return "".join(character if character.isprintable() else "?" for character in text)


class SteganoError(Exception):
    """Base of all errors that bad input causes.

    `option` is the argument that allows what was refused, and `effect` says what it does: "raises the limit". Both end
    the message. The command writes the option as its user knows it, and leaves both out where it has no such option.
    """

    def __init__(self, message: str = "", *, option: str | None = None, effect: str = ""):
        super().__init__(message)
        self.option, self.effect = option, effect

    def __str__(self) -> str:
        return self.spelled(self.option)

    def about(self, name: str) -> "SteganoError":
        """Returns the same error with the name of what it is about in front."""
        return type(self)(f"{name}: {self.spelled(None)}", option=self.option, effect=self.effect)

    def spelled(self, option: str | None) -> str:
        """Returns the message with another name for the option; without an advice if that is None."""
        message = super().__str__()
        return message if option is None else f"{message}; {option} {self.effect}"


class ImageError(SteganoError):
    """A picture cannot be read, has no pixels to work on, or cannot be written in the asked-for format."""


class AudioError(SteganoError):
    """A sound file cannot be read or written, or is of a kind that cannot carry bytes exactly."""


class FormatError(SteganoError):
    """Bytes that were read are not what their format says: a bad magic number, length, checksum or version."""


class OutputError(SteganoError):
    """An output cannot be written: it exists already, its folder does not, or the disk is full."""


class PresetError(SteganoError):
    """A network preset or its weights do not exist or do not fit each other."""


class ChannelError(SteganoError):
    """A text describes no channel that pictures could pass."""


class DataError(SteganoError):
    """A data folder or data set holds nothing that can be used."""


class BackendError(SteganoError):
    """A runtime cannot be had: its package is not installed, or there is nothing that it could run."""


class MemoryLimitError(SteganoError):
    """The work needs more memory than it may take or than the machine has."""


class StrategyError(SteganoError):
    """The devices or workers that training is to use are not there, or do not divide its batches."""


class WorkerLostError(StrategyError):
    """Another worker of this training has gone: starting again from the last checkpoint is all that helps."""


class CheckpointError(SteganoError):
    """A run cannot go on from its folder: no checkpoint can be read, or it is another run's."""
