"""The REST interface of https://www.tensorflow.org/tfx/serving/api_rest, /healthz, and Prometheus metrics."""

import asyncio
import functools
import io
import json
import logging

from aiohttp import web
from google.protobuf import json_format as protobuf_json

from stegano_tf.errors import one_line
from stegano_tf.serving import budget, json_format
from stegano_tf.serving.access import Access
from stegano_tf.serving.connections import Connections
from stegano_tf.serving.errors import BodyError, RequestError, invalid
from stegano_tf.serving.service import Service

# A line break belongs to no name: such a path is not found.
_MODEL = r"/v1/models/{name:[^/:\n]+}"
_VERSIONS = "", "/versions/{version:[0-9]+}", r"/labels/{label:[^/:\n]+}"

# As TensorFlow Serving maps them. It says UNAVAILABLE, also 503, when its queue is full.
_HTTP = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "OUT_OF_RANGE": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "UNIMPLEMENTED": 501,
    "RESOURCE_EXHAUSTED": 503,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}


def application(service: Service, connections: Connections, access: Access) -> web.Application:
    """Returns the web application; `service` answers whom `access` lets in."""
    app = web.Application(
        middlewares=[_errors_as_json, access.middleware], client_max_size=service.settings.max_body_mb * 2**20
    )

    async def healthz(_) -> web.Response:
        return web.Response(text="ok\n")

    async def metrics(_) -> web.Response:
        page, content_type = service.metrics.page()
        return web.Response(body=page, headers={"Content-Type": content_type})

    async def malformed(request: web.Request) -> web.Response:
        raise invalid(f"Malformed request: {request.method} {request.path}")

    app.router.add_get("/healthz", healthz)
    app.router.add_get("/monitoring/prometheus/metrics", metrics)  # where TensorFlow Serving has them
    app.router.add_get("/metrics", metrics)
    for path in (_MODEL + version for version in _VERSIONS):
        app.router.add_post(
            path + ":{method:predict|classify|regress}", functools.partial(_predict, service, connections)
        )
        app.router.add_get(path, functools.partial(_status, service), allow_head=False)
        app.router.add_get(path + "/metadata", functools.partial(_metadata, service), allow_head=False)
    app.router.add_route("*", "/v1/{path:.*}", malformed)
    return app


async def _predict(service: Service, connections: Connections, request: web.Request) -> web.StreamResponse:
    with service.request("REST") as call:
        model = service.model(*_spec(request))
        call.model = model.name
        if (method := request.match_info["method"]) != "predict":
            raise RequestError("UNIMPLEMENTED", f"{method}: no model here has such signatures")
        milliseconds = service.settings.rest_api_timeout_in_ms
        try:
            async with asyncio.timeout(milliseconds / 1e3):
                body = await _body(request, call.share)
                coding = request.headers.get("Content-Encoding", "").strip().lower().removeprefix("identity")
                with connections.answering(request.protocol):
                    outputs, key = await service.predict_json(call, model, body, coding)
                    del body
                    answer = await asyncio.to_thread(_answer, service, outputs, key)
        except TimeoutError as error:
            raise RequestError("DEADLINE_EXCEEDED", f"not answered within {milliseconds} ms") from error
        response = web.Response(body=io.BytesIO(answer), content_type="application/json")
        try:
            async with call.share.sending(len(answer)):
                await response.prepare(request)
                await response.write_eof()
        except RequestError as error:
            if request.transport:
                request.transport.abort()  # so that what it has not read is freed
            raise ConnectionResetError(str(error)) from error
        return response


async def _body(request: web.Request, share: budget.Share) -> bytes:
    most, length = request.client_max_size, request.content_length
    if length is not None and length > most:
        raise BodyError(most)
    # A body of unknown length counts as a short one as long as it is.
    limits = [length] if length is not None else [min(budget.SHORT, most), most]
    body = bytearray()
    try:
        for limit in limits:
            async with share.receiving(limit):
                while len(body) <= limit:
                    if not (chunk := await request.content.readany()):
                        share.resize(len(body))
                        return bytes(body)
                    body += chunk
    except web.RequestPayloadError as error:  # damaged chunks
        raise invalid(f"the body cannot be read: {one_line(error)}") from error
    raise BodyError(most)


def _answer(service: Service, outputs, key: str) -> bytes:
    answer = bytearray()
    for piece in json_format.write(outputs, key):
        answer += piece
        service.check_answer(len(answer))
    return answer


async def _status(service: Service, request: web.Request) -> web.Response:
    return _json(_document(service.status(*_spec(request))))


async def _metadata(service: Service, request: web.Request) -> web.Response:
    document = _document(service.metadata(*_spec(request)))
    del document["metadata"]["signature_def"]["@type"]
    return _json(document)


def _spec(request: web.Request) -> tuple[str, int | None, str | None]:
    found = request.match_info
    version = found.get("version")
    if version and len(version) > 18:  # fits into gRPC's 64 bits
        raise invalid(f"Failed to convert version: {version} to numeric.")
    return found["name"], int(version) if version else None, found.get("label")


def _document(message) -> dict:
    options = {"preserving_proto_field_name": True, "always_print_fields_with_no_presence": True}
    return protobuf_json.MessageToDict(message, **options)


def _json(document: dict, status: int = 200) -> web.Response:
    return web.Response(body=json.dumps(document).encode(), status=status, content_type="application/json")


@web.middleware
async def _errors_as_json(request: web.Request, handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except RequestError as error:
        status = 413 if isinstance(error, BodyError) else _HTTP.get(error.code, 500)
        message = str(error)
    except web.HTTPException as error:
        status, message = error.status, error.reason
    except ConnectionError:  # the client has gone
        raise
    except Exception:
        logging.exception("%s %s", request.method, request.path)
        status, message = 500, "internal error; the server's log has more"
    response = _json({"error": message}, status)
    if request.content.exception():  # nothing can follow a broken body, and the client should know
        response.force_close()
    return response
