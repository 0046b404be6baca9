"""`stegano-tf serve`: exported SavedModels behind the REST and gRPC interfaces of TensorFlow Serving.

The wire formats are those of https://www.tensorflow.org/tfx/serving/api_rest and of tensorflow_serving/apis/*.proto, so
that a client moves between this server and TensorFlow Serving by changing a host name. It is meant for development,
tests and one machine's own use: no TLS, no authentication, one version of each model, the latest at start.

`models` loads a tree, `batching` runs requests, `service` checks them; `rest` and `grpc_api` are the two ways in,
`server` is the process.
"""
