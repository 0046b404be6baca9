"""The error of a request. Its code is the name of one of gRPC's statuses; `rest` maps it to HTTP's."""

from stegano_tf.errors import SteganoError

MAX_MESSAGE = 1000  # characters: gRPC sends it in a header, and clients allow 8 KB of these


class ServerError(SteganoError):
    """The server cannot start."""


class RequestError(SteganoError):
    """A request gets no result; `code` is the name of the status that TensorFlow Serving gives in such a case.

    `signature` is the one that the request names, if it was known when the error was raised.
    """

    signature = ""

    def __init__(self, code: str, message: str):
        super().__init__(message if len(message) <= MAX_MESSAGE else message[: MAX_MESSAGE - 1] + "…")
        self.code = code

    def __reduce__(self):
        return type(self), (self.code, str(self)), vars(self)


class BodyError(RequestError):
    """A body is larger than `most` bytes: 413. gRPC has the same code for this as for a full server."""

    def __init__(self, most: int):
        super().__init__("RESOURCE_EXHAUSTED", f"the body is larger than {most:,} bytes, the limit of this server")
        self._most = most

    def __reduce__(self):
        return type(self), (self._most,), vars(self)


def invalid(message: str) -> RequestError:
    """Returns the error of a request that no server could answer."""
    return RequestError("INVALID_ARGUMENT", message)
