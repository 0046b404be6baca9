"""Hides and reveals picture files on a server: `stegano-tf serve`, or TensorFlow Serving with the same models.

    python tools/serving_client.py hide cover.jpg secret.jpg stego.png
    python tools/serving_client.py --grpc=localhost:8500 reveal stego.png secret.png
    python tools/serving_client.py status

Cover and secret must be of one size, PNG, JPEG or BMP; results are PNG files. It needs `pip install absl-py grpcio
proto-plus requests`, neither TensorFlow nor this package: the few messages that it sends are declared below.
"""

import base64
import secrets
import sys
from pathlib import Path
from typing import Protocol

import grpc
import proto
import requests
from absl import app, flags

_REST = flags.DEFINE_string("rest", "http://localhost:8501", "Where the REST interface is.")
_GRPC = flags.DEFINE_string("grpc", None, "Where the gRPC interface is (host:port), to use it instead of REST.")
_MODEL = flags.DEFINE_string("model", "codebook", "Which of the server's models.")
_VERSION = flags.DEFINE_integer("version", None, "Which version of it; else the latest.", lower_bound=0)
_TIMEOUT = flags.DEFINE_float("timeout", 60.0, "Seconds to wait for an answer.", lower_bound=0.0)
_TOKEN_FILE = flags.DEFINE_string("token_file", None, "File with the token that the server wants.")
_FORCE = flags.DEFINE_bool("force", False, "Overwrite an existing output.")


class ServingError(Exception):
    """The server refused a request or could not be reached."""


class Client(Protocol):
    """One model of a server."""

    def predict(self, signature: str, **inputs: bytes) -> bytes:
        """Returns the one output of a signature for a batch of one picture, or pair; files in, PNG file out.

        Raises:
          ServingError
        """

    def status(self) -> list[tuple[int, str]]:
        """Returns the versions that the server knows, each with its state, such as AVAILABLE; raises ServingError."""


class RestClient:
    """By HTTP and JSON, pictures as base64."""

    def __init__(self, url: str, model: str, version: int | None = None, timeout: float = 60.0, token: str = ""):
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._model = f"{url.rstrip('/')}/v1/models/{model}" + (f"/versions/{version}" if version is not None else "")
        self._timeout = timeout

    def predict(self, signature: str, **inputs: bytes) -> bytes:
        """As `Client`."""
        instance = {name: {"b64": base64.b64encode(value).decode()} for name, value in inputs.items()}
        answer = self._ask("POST", ":predict", json={"signature_name": signature, "instances": [instance]})
        return base64.b64decode(answer["predictions"][0]["b64"])

    def status(self) -> list[tuple[int, str]]:
        """As `Client`."""
        return [(int(entry["version"]), entry["state"]) for entry in self._ask("GET", "")["model_version_status"]]

    def _ask(self, method: str, suffix: str, **options) -> dict:
        try:
            response = requests.request(
                method, self._model + suffix, headers=self._headers, timeout=self._timeout, **options
            )
            answer = response.json()
        except requests.ConnectionError as error:
            raise ServingError(f"{self._model}: cannot be reached") from error
        except requests.RequestException as error:
            raise ServingError(f"{self._model}: {error}") from error
        if response.status_code != 200:
            raise ServingError(f"{self._model}: {response.status_code} {answer.get('error', response.reason)}")
        return answer


# The fields that are used here of tensorflow/core/framework/{tensor,tensor_shape}.proto and tensorflow_serving/apis/
# {model,predict,get_model_status}.proto; tensorflow-serving-api has them all, but imports TensorFlow.
__protobuf__ = proto.module(package="serving_client")
_DT_STRING = 7


class _Dim(proto.Message):
    size = proto.Field(proto.INT64, number=1)


class _Shape(proto.Message):
    dim = proto.RepeatedField(_Dim, number=2)


class _Tensor(proto.Message):
    dtype = proto.Field(proto.INT32, number=1)
    tensor_shape = proto.Field(_Shape, number=2)
    string_val = proto.RepeatedField(proto.BYTES, number=8)


class _Version(proto.Message):
    value = proto.Field(proto.INT64, number=1)


class _ModelSpec(proto.Message):
    name = proto.Field(proto.STRING, number=1)
    version = proto.Field(_Version, number=2)
    signature_name = proto.Field(proto.STRING, number=3)


class _PredictRequest(proto.Message):
    model_spec = proto.Field(_ModelSpec, number=1)
    inputs = proto.MapField(proto.STRING, _Tensor, number=2)


class _PredictResponse(proto.Message):
    outputs = proto.MapField(proto.STRING, _Tensor, number=1)


class _StatusRequest(proto.Message):
    model_spec = proto.Field(_ModelSpec, number=1)


class _State(proto.Enum):
    UNKNOWN = 0
    START = 10
    LOADING = 20
    AVAILABLE = 30
    UNLOADING = 40
    END = 50


class _VersionStatus(proto.Message):
    version = proto.Field(proto.INT64, number=1)
    state = proto.Field(_State, number=2)


class _StatusResponse(proto.Message):
    model_version_status = proto.RepeatedField(_VersionStatus, number=1)


class GrpcClient:
    """By gRPC, pictures as they are."""

    def __init__(self, address: str, model: str, version: int | None = None, timeout: float = 60.0, token: str = ""):
        self._address = address
        self._metadata = [("authorization", f"Bearer {token}")] if token else []
        self._spec = {"name": model} | ({"version": {"value": version}} if version is not None else {})
        self._timeout = timeout
        self._channel = grpc.insecure_channel(address, options=[("grpc.max_receive_message_length", -1)])

    def predict(self, signature: str, **inputs: bytes) -> bytes:
        """As `Client`."""
        shape = {"dim": [{"size": 1}]}
        request = _PredictRequest(
            model_spec=self._spec | {"signature_name": signature},
            inputs={
                name: {"dtype": _DT_STRING, "tensor_shape": shape, "string_val": [value]}
                for name, value in inputs.items()
            },
        )
        response = self._ask("PredictionService/Predict", request, _PredictResponse)
        (output,) = response.outputs.values()
        return output.string_val[0]

    def status(self) -> list[tuple[int, str]]:
        """As `Client`."""
        request = _StatusRequest(model_spec=self._spec)
        response = self._ask("ModelService/GetModelStatus", request, _StatusResponse)
        return [(entry.version, _State(entry.state).name) for entry in response.model_version_status]

    def _ask(self, method: str, request: proto.Message, response: type[proto.Message]):
        call = self._channel.unary_unary(
            f"/tensorflow.serving.{method}",
            request_serializer=type(request).serialize,
            response_deserializer=response.deserialize,
        )
        try:
            return call(request, timeout=self._timeout, metadata=self._metadata)
        except grpc.RpcError as error:
            raise ServingError(f"{self._address}: {error.code().name} {error.details()}") from error


def hide(client: Client, cover: Path, secret: Path) -> bytes:
    """Returns the stego image, a PNG file."""
    return client.predict("hide_bytes", cover_bytes=cover.read_bytes(), secret_bytes=secret.read_bytes())


def reveal(client: Client, stego: Path) -> bytes:
    """Returns the secret in a stego image, a PNG file."""
    return client.predict("reveal_bytes", stego_bytes=stego.read_bytes())


def write(path: Path, content: bytes, *, force: bool) -> None:
    """Writes a file, whole or not at all; raises FileExistsError if it exists and `force` is not set."""
    if path.exists() and not force:
        raise FileExistsError(f"{path}: exists already; --force overwrites it")
    partial = path.with_name(f".{path.name[:32]}.{secrets.token_hex(6)}.partial")
    try:
        partial.write_bytes(content)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def main(argv: list[str]) -> None:
    """Runs one command."""
    try:
        token = Path(_TOKEN_FILE.value).read_text().strip() if _TOKEN_FILE.value else ""
        if _GRPC.value:
            client: Client = GrpcClient(_GRPC.value, _MODEL.value, _VERSION.value, _TIMEOUT.value, token)
        else:
            client = RestClient(_REST.value, _MODEL.value, _VERSION.value, _TIMEOUT.value, token)
        match argv[1:]:
            case ["hide", cover, secret, stego]:
                write(Path(stego), hide(client, Path(cover), Path(secret)), force=_FORCE.value)
            case ["reveal", stego, secret]:
                write(Path(secret), reveal(client, Path(stego)), force=_FORCE.value)
            case ["status"]:
                for version, state in client.status():
                    print(f"{_MODEL.value} version {version}: {state}")
            case _:
                raise app.UsageError("expected hide COVER SECRET STEGO, reveal STEGO SECRET, or status")
    except ServingError as error:
        sys.exit(f"serving_client: {error}")
    except OSError as error:
        reason = f"{error.filename}: {error.strerror}" if error.strerror else error
        sys.exit(f"serving_client: {reason}")


if __name__ == "__main__":
    app.run(main)
