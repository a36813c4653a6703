"""Files of Keras and TensorFlow."""
