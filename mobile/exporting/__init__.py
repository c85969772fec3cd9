"""From a Keras model to a .tflite that has been compared with it."""
