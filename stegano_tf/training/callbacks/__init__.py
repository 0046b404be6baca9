"""What happens around training steps.

A callback names in `STATE` those of its attributes that a checkpoint keeps (numbers or None). It must not set them in
`on_train_begin`: a checkpoint has restored them by then.
"""
