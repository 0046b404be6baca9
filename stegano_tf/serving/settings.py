"""A server's settings as data: the command line shows them without importing the server."""

import dataclasses
import functools

from stegano_tf.settings import setting

_number = functools.partial(setting, low=1, high=2**31 - 1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings and their defaults. Those that TensorFlow Serving has, too, have its names."""

    host: str = setting(
        "127.0.0.1", "address to listen on; the default is reached from this machine only", metavar="ADDRESS"
    )
    port: int = _number(8501, "for REST; 0 takes a free one", low=0, high=65535)
    grpc_port: int = _number(8500, "for gRPC; 0 takes a free one", low=0, high=65535)
    num_batch_threads: int = _number(2, "batches that run at a time")
    max_batch_size: int = _number(8, "pictures, or pairs, of several requests that run as one batch")
    max_batch_pixels: int = _number(2**16, "pixels of several requests that run as one batch")
    batch_timeout_micros: int = _number(0, "how long a request waits for others to fill its batch", low=0)
    max_body_mb: int = _number(32, "MiB of the largest message, and of the largest answer", high=512)
    max_waiting_mb: int = _number(
        128, "MiB of all messages and answers that wait, at least 4 times the largest message"
    )
    max_pixels: int = _number(2**22, "pixels that all pictures of an input of a request may have")
    max_requests: int = _number(64, "requests that are answered at a time; more get 503 or RESOURCE_EXHAUSTED")
    max_connections: int = _number(512, "connections to each port; fewer if the process may not open as many files")
    client_timeout_in_ms: int = _number(10_000, "time to send a request and to read an answer, and a second per MiB")
    rest_api_timeout_in_ms: int = _number(30_000, "time to answer a REST request")
    file_system_poll_wait_seconds: int = _number(1, "how often new versions are looked for; 0 for never", low=0)
    allowed_hosts: str = setting(
        "", "names, with commas, that clients may call this server by, beside localhost and its address"
    )
    token_file: str = setting("", "file with a text that clients must send as their bearer token", metavar="FILE")
