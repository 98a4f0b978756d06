"""One file a model. `zoo/registry.py` names them; importing this package imports none."""
