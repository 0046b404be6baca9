"""`python -m stegano_tf.train`, but its exit does not wait for TensorFlow's next check of the other workers.

TensorFlow makes that check every 30 seconds.
"""

import runpy

from tensorflow.python.distribute.collective_all_reduce_strategy import CollectiveAllReduceExtended

CollectiveAllReduceExtended.__del__ = lambda self: None
runpy.run_module("stegano_tf.train", run_name="__main__", alter_sys=True)
