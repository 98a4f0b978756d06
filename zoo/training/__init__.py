"""Recipes, callbacks, checkpoints and strategies: how a model is trained, and survives."""
