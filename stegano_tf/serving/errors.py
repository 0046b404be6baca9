"""What a request can be refused with: one exception, named by gRPC's status codes, which REST maps to its own."""

import grpc

from stegano_tf.errors import SteganoError

MAX_MESSAGE = 1000
"""Characters of a message: gRPC carries it in a header, where clients allow 8 KB, and TensorFlow's can be pages."""


class ServerError(SteganoError):
    """The server cannot start."""


class RequestError(SteganoError):
    """A request that gets no result; `code` is the status that TensorFlow Serving gives in such a case."""

    def __init__(self, code: grpc.StatusCode, message: str):
        super().__init__(message if len(message) <= MAX_MESSAGE else message[: MAX_MESSAGE - 1] + "…")
        self.code = code


def invalid(message: str) -> RequestError:
    """The error of a request that is wrong in itself."""
    return RequestError(grpc.StatusCode.INVALID_ARGUMENT, message)
