"""The mathematics as pure functions: noise, pixels, bounds, distributions, losses."""
