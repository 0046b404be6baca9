"""The hide and reveal networks, written with keras.layers and keras.ops so that every Keras back end runs them."""
