"""`stegano-tf serve`: exported SavedModels behind the REST and gRPC interfaces of TensorFlow Serving.

The wire formats are those of https://www.tensorflow.org/tfx/serving/api_rest and of tensorflow_serving/apis/*.proto. A
client moves between this server and TensorFlow Serving by changing a host name. The server is meant for development,
for tests and for use on one machine: it has no TLS, and serves the latest version of each model.

`rest` and `grpc_api` take requests from whom `access` lets in. `budget` and `connections` limit what waits for slow
clients. `workers` has processes that read what a client sent: `reading`, `json_format`, `proto_format`, `pictures`.
`batching` runs it. `service` joins them, `models` has the models, and `server` is the process.
"""
