"""The state of training at one moment, saved in a file and resumed to the bit."""
