"""Models in use: inputs that drift, probabilities that mean what they say, records on which a model is worst."""
