"""Pictures to (cover, secret) batches.

`plan` makes every random decision, by numpy. `sources` decodes, `batches` cuts, on any Keras back end; `tf_data` passes
those batches on to TensorFlow, so that all back ends train on equal pixels. `validation` makes pairs without chance.
"""
