"""Exported SavedModels: <tree>/<model>/<version>/saved_model.pb, as TensorFlow Serving takes them."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2
from tensorflow_serving.apis import prediction_log_pb2

from stegano_tf import savedmodels
from stegano_tf.errors import PresetError
from stegano_tf.runtime.exported import Exported

DEFAULT_SIGNATURE = tf.saved_model.DEFAULT_SERVING_SIGNATURE_DEF_KEY
_INIT_OP = "__saved_model_init_op"  # listed among the signatures, but for loaders, not for callers


@dataclasses.dataclass(frozen=True, eq=False)
class Signature:
    """One function of a model.

    Attributes:
      inputs: dtype and shape of each input, by name; the first dimension of each is the batch.
      outputs: the same of the outputs.
    """

    name: str
    inputs: Mapping[str, meta_graph_pb2.TensorInfo]
    outputs: Mapping[str, meta_graph_pb2.TensorInfo]
    function: Callable

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Returns the outputs; strings are arrays of `bytes` objects. May be called from several threads.

        Raises:
          tf.errors.OpError: as the graph does, of inputs that it cannot work on.
        """
        tensors = {
            name: tf.constant(value.tolist() if value.dtype == object else value, self.inputs[name].dtype)
            for name, value in inputs.items()
        }
        return {name: tensor.numpy() for name, tensor in self.function(**tensors).items()}


class Model:
    """One version of a model.

    Attributes:
      name, version: the names of its folders.
      signature_defs: what the SavedModel says of its signatures, for those who ask for metadata.
      signatures: what can be called.
    """

    def __init__(self, folder: Path):
        """Loads the SavedModel in `folder`, <tree>/<name>/<version>, and runs its warm-up requests.

        Raises:
          PresetError: it is not whole, or not what was exported.
        """
        exported = Exported.read(folder)
        for part in ("saved_model.pb", "fingerprint.pb", "variables/", "assets.extra/"):
            exported.check(part)
        self.name, self.version = folder.parent.name, int(folder.name)
        try:
            saved = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
            (graph,) = (graph for graph in saved.meta_graphs if tf.saved_model.SERVING in graph.meta_info_def.tags)
            self._loaded = tf.saved_model.load(folder)  # kept: its functions hold its variables by weak references
        except (OSError, ValueError, DecodeError, tf.errors.OpError) as error:
            raise PresetError(f"{folder}: is no whole SavedModel: {_one_line(error)}") from error
        self.signature_defs = dict(graph.signature_def)
        self.signatures = {
            name: Signature(name, dict(entry.inputs), dict(entry.outputs), self._loaded.signatures[name])
            for name, entry in self.signature_defs.items()
            if name != _INIT_OP
        }
        self._warm_up(folder)

    def _warm_up(self, folder: Path) -> None:
        """Runs the PredictionLog records that TensorFlow Serving runs too: the first call of a function is slow."""
        records = folder / "assets.extra" / "tf_serving_warmup_requests"
        if not records.is_file():
            return
        try:
            for record in tf.data.TFRecordDataset(str(records)).as_numpy_iterator():
                request = prediction_log_pb2.PredictionLog.FromString(record).predict_log.request
                inputs = {name: tf.make_ndarray(tensor) for name, tensor in request.inputs.items()}
                self.signatures[request.model_spec.signature_name or DEFAULT_SIGNATURE].run(inputs)
        except (KeyError, DecodeError, tf.errors.OpError) as error:
            raise PresetError(f"{records}: is no warm-up file of this model: {_one_line(error)}") from error


def latest_versions(tree: Path) -> dict[str, Path]:
    """Returns the folder of the latest version of each model in `tree`.

    Raises:
      PresetError: there is none.
    """
    names = sorted(folder.name for folder in tree.glob("*") if savedmodels.versions(folder.name, tree))
    if not names:
        raise PresetError(f"{tree}: holds no model, expected MODEL/VERSION folders (python -m stegano_tf.export)")
    return {name: savedmodels.versions(name, tree)[-1] for name in names}


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
