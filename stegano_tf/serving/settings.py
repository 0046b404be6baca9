"""What can be set of a server: plain data, so that the command line can show it without importing the server."""

import dataclasses


def _setting(default: int | str, text: str, *, low: int = 1, high: int = 2**31 - 1):
    return dataclasses.field(default=default, metadata={"help": text, "range": (low, high)})


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings and their defaults; what TensorFlow Serving has too is named as there."""

    host: str = _setting("127.0.0.1", "address to listen on; the default is reached from this machine only")
    port: int = _setting(8501, "for REST; 0 takes a free one", low=0, high=65535)
    grpc_port: int = _setting(8500, "for gRPC; 0 takes a free one", low=0, high=65535)
    num_batch_threads: int = _setting(2, "batches that run at a time")
    max_batch_size: int = _setting(8, "pictures, or pairs, of several requests that run as one batch")
    max_batch_pixels: int = _setting(2**16, "and the pixels that they may have")
    batch_timeout_micros: int = _setting(0, "how long a request waits for others to fill its batch", low=0)
    max_body_mb: int = _setting(32, "MiB of the largest message")
    max_pixels: int = _setting(2**22, "pixels that all pictures of an input of a request may have")
    max_requests: int = _setting(64, "requests in progress; more get 503 or RESOURCE_EXHAUSTED")
    rest_api_timeout_in_ms: int = _setting(30_000, "time to answer a REST request")
