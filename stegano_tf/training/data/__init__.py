"""Pictures to (cover, secret) batches.

`sources` decodes, `batches` pairs and cuts, by numpy on any Keras back end. `tf_data` passes those batches on to
TensorFlow, so that all back ends train on equal pixels.
"""
