"""What the models of a family share: how they are trained, sampled and exported."""
