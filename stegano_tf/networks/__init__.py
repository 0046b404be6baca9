"""What hides and reveals, one package a family, written with keras.layers and keras.ops for every Keras back end."""
