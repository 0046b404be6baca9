"""Pictures to (cover, secret) batches.

`sources` decodes, `plan` pairs, `batches` cuts, by numpy on any Keras back end. `tf_data` passes those batches on to
TensorFlow, so that all back ends train on equal pixels. `stored` cuts the same batches on the device that trains.
"""
