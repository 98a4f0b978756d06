"""What every model is made of: families, bounds, losses, distributions, layers, networks."""
