"""The error of a request. It has one of gRPC's status codes; `rest` maps them to HTTP's."""

import grpc

from stegano_tf.errors import SteganoError

MAX_MESSAGE = 1000  # characters: gRPC sends it in a header, and clients allow 8 KB of these


class ServerError(SteganoError):
    """The server cannot start."""


class RequestError(SteganoError):
    """A request gets no result; `code` is the status that TensorFlow Serving gives in such a case."""

    def __init__(self, code: grpc.StatusCode, message: str):
        super().__init__(message if len(message) <= MAX_MESSAGE else message[: MAX_MESSAGE - 1] + "…")
        self.code = code


def invalid(message: str) -> RequestError:
    """Returns the error of a request that no server could answer."""
    return RequestError(grpc.StatusCode.INVALID_ARGUMENT, message)
