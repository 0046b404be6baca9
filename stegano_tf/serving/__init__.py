"""`stegano-tf serve`: exported SavedModels behind the REST and gRPC interfaces of TensorFlow Serving.

The wire formats are those of https://www.tensorflow.org/tfx/serving/api_rest and of tensorflow_serving/apis/*.proto. A
client moves between this server and TensorFlow Serving by changing a host name. The server is meant for development,
for tests and for use on one machine: it has no TLS and no authentication, and serves the latest version of each model.

`rest` and `grpc_api` take requests, `service` checks them, `batching` runs them; `server` is the process.
"""
