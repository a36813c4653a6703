"""What a training is at one moment, kept in a file and taken up again, to the bit."""
