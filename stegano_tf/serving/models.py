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
from stegano_tf.errors import PresetError, one_line
from stegano_tf.runtime.exported import Exported

Arrays = Mapping[str, np.ndarray]
DEFAULT_SIGNATURE = tf.saved_model.DEFAULT_SERVING_SIGNATURE_DEF_KEY


@dataclasses.dataclass(frozen=True, eq=False)
class Signature:
    """One function of a model."""

    name: str
    inputs: Mapping[str, meta_graph_pb2.TensorInfo]  # dtype and shape by name; the first dimension is the batch
    outputs: Mapping[str, meta_graph_pb2.TensorInfo]
    function: Callable

    def run(self, inputs: Arrays) -> Arrays:
        """Returns the outputs, strings as arrays of `bytes`; raises tf.errors.OpError. Several threads may call it."""
        tensors = {
            name: tf.constant(value.tolist() if value.dtype == object else value, self.inputs[name].dtype)
            for name, value in inputs.items()
        }
        return {name: tensor.numpy() for name, tensor in self.function(**tensors).items()}


class Model:
    """One version of a model: `name` and `version`, the same as a ModelSpec message in `spec`, and its signatures.

    `signature_defs` are the signatures as the SavedModel states them, and `signatures` those that can be called.
    """

    def __init__(self, folder: Path):
        """Loads the model in <tree>/<name>/<version>; raises PresetError if a file is missing or altered."""
        exported = Exported.read(folder)
        for part in ("saved_model.pb", "fingerprint.pb", "variables/", "assets.extra/"):
            exported.check(part)
        self.name, self.version = folder.parent.name, int(folder.name)
        self.spec = {"name": self.name, "version": {"value": self.version}}
        try:
            saved = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
            (graph,) = (graph for graph in saved.meta_graphs if tf.saved_model.SERVING in graph.meta_info_def.tags)
            self._loaded = tf.saved_model.load(folder)  # kept: the functions have weak references to its variables
        except (OSError, ValueError, DecodeError, tf.errors.OpError) as error:
            raise PresetError(f"{folder}: is no whole SavedModel: {one_line(error)}") from error
        self.signature_defs = dict(graph.signature_def)
        self.signatures = {
            name: Signature(name, dict(entry.inputs), dict(entry.outputs), self._loaded.signatures[name])
            for name, entry in self.signature_defs.items()
            if name != "__saved_model_init_op"  # only loaders call it
        }
        self._warm_up(folder)

    def _warm_up(self, folder: Path) -> None:
        """Runs the warm-up requests that TensorFlow Serving runs, too: the first call of a function is slow."""
        records = folder / "assets.extra" / "tf_serving_warmup_requests"
        if not records.is_file():
            return
        try:
            for record in tf.data.TFRecordDataset(str(records)).as_numpy_iterator():
                request = prediction_log_pb2.PredictionLog.FromString(record).predict_log.request
                inputs = {name: tf.make_ndarray(tensor) for name, tensor in request.inputs.items()}
                self.signatures[request.model_spec.signature_name or DEFAULT_SIGNATURE].run(inputs)
        except (KeyError, DecodeError, tf.errors.OpError) as error:
            raise PresetError(f"{records}: is no warm-up file of this model: {one_line(error)}") from error


def load(tree: Path, names: list[str]) -> dict[str, Model]:
    """Returns the latest versions of the models called `names` in `tree`, or of all if `names` is empty.

    Raises PresetError as `Model`, and if there is no such model.
    """
    folders = {
        path.name: found[-1] for path in sorted(tree.glob("*")) if (found := savedmodels.versions(path.name, tree))
    }
    if not folders:
        raise PresetError(f"{tree}: holds no model, expected MODEL/VERSION folders (python -m stegano_tf.export)")
    for name in names:
        if name not in folders:
            raise PresetError(f"{tree}: holds no model {name}, expected one of {', '.join(folders)}")
    return {name: Model(folder) for name, folder in folders.items() if not names or name in names}
