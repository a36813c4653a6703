"""What layers rest on: parameters, gradients, the layer contract, initializers, activations."""
