"""V, the convolutional variational autoencoder: model, losses, episodes and frames, training."""
