"""V: the convolutional variational autoencoder that turns a frame into a latent vector."""
