"""V, the variational autoencoder, and what every stage stands on: files, run folders, settings, random streams.

Imports of this project run one way, vae <- rnn <- controller <- tasks <- scripts, so what all of them need lives here.
"""
