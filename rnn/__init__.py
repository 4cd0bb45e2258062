"""M: the recurrent network with a mixture density head that predicts the next latent vector."""
