"""The default tests leave out that TensorFlow rewrites graphs, a fifth of their time.

Importing this file turns it off, in this process and in all that are forked from it. The slow tests
have it, as users do.
"""

import tensorflow_probability  # noqa: F401  # isort: skip  (before TensorFlow, then faster)
import tensorflow as tf

tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
