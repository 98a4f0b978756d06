"""Trained weights: checkpoints, what comes with the package, exports."""
