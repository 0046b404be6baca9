"""Exported SavedModels: <tree>/<model>/<version>/saved_model.pb, as TensorFlow Serving takes them."""

import contextlib
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2
from tensorflow_serving.apis import prediction_log_pb2

from stegano_tf import savedmodels
from stegano_tf.errors import PresetError, one_line
from stegano_tf.runtime.exported import Exported
from stegano_tf.serving.catalog import DEFAULT_SIGNATURE, Entry, Names, Tensor

Arrays = Mapping[str, np.ndarray]


@dataclasses.dataclass(frozen=True, eq=False)
class Signature:
    """One function of a model."""

    name: str
    names: Names
    function: Callable

    def run(self, inputs: Arrays) -> Arrays:
        """Returns the outputs, strings as arrays of `bytes`; raises tf.errors.OpError. Several threads may call it."""
        tensors = {
            name: tf.constant(value.tolist() if value.dtype == object else value, self.names.inputs[name].dtype)
            for name, value in inputs.items()
        }
        return {name: tensor.numpy() for name, tensor in self.function(**tensors).items()}


class Model:
    """One version of a model: `name` and `version`, the same as a ModelSpec message in `spec`, and its signatures.

    `signature_defs` are the signatures as the SavedModel states them. `signatures` are those that can be called, and
    `entry` names these.
    """

    def __init__(self, folder: Path):
        """Loads the model in <tree>/<name>/<version>; raises PresetError if a file is missing or altered."""
        exported = Exported.read(folder)
        for part in ("saved_model.pb", "fingerprint.pb", "variables/", "assets.extra/"):
            exported.check(part)
        self.folder, self.name, self.version = folder, folder.parent.name, int(folder.name)
        self.spec = {"name": self.name, "version": {"value": self.version}}
        try:
            saved = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
            (graph,) = (graph for graph in saved.meta_graphs if tf.saved_model.SERVING in graph.meta_info_def.tags)
            self._loaded = tf.saved_model.load(folder)  # kept: the functions have weak references to its variables
        except (OSError, ValueError, DecodeError, tf.errors.OpError) as error:
            raise PresetError(f"{folder}: is no whole SavedModel: {one_line(error)}") from error
        self.signature_defs = dict(graph.signature_def)
        self.signatures = {
            name: Signature(name, _names(definition), self._loaded.signatures[name])
            for name, definition in self.signature_defs.items()
            if name != "__saved_model_init_op"  # only loaders call it
        }
        self.entry = Entry(self.version, {name: signature.names for name, signature in self.signatures.items()})
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


class Models:
    """The models of a folder: of each the latest version that is whole.

    `latest` has the models by name, and `refused` what was wrong with newer versions, by folder.
    """

    def __init__(self, tree: Path, names: Sequence[str] = ()):
        """Loads the models called `names` in `tree`, or all if there are none.

        Raises PresetError if there is no such model, or none of them has a whole version.
        """
        self._tree, self._names = tree, names
        self.latest: Mapping[str, Model] = {}
        self.refused: dict[Path, PresetError] = {}
        self._seen: dict[Path, list] = {}
        found = self._folders()
        if not found:
            raise PresetError(f"{tree}: holds no model, expected MODEL/VERSION folders (python -m stegano_tf.export)")
        for name in names:
            if name not in found:
                raise PresetError(f"{tree}: holds no model {name}, expected one of {', '.join(found)}")
        self._seen = {folder: _stamp(folder) for folders in found.values() for folder in folders}
        self.look()
        if not self.latest:
            raise next(iter(self.refused.values()))

    def look(self) -> list[str]:
        """Loads newer versions, lets go those whose folders are gone, and returns a line about each.

        A folder that changed since the last look may still be written. It has to wait.
        """
        before, latest, lines = self.latest, {}, []
        found = self._folders()
        folders = {folder for folders in found.values() for folder in folders}
        self.refused = {folder: error for folder, error in self.refused.items() if folder in folders}
        stamps = {folder: _stamp(folder) for folder in folders}
        for name, versions in found.items():
            if self._names and name not in self._names:
                continue
            for folder in reversed(versions):
                if name in before and before[name].folder == folder:
                    latest[name] = before[name]
                    break
                if stamps[folder] != self._seen.get(folder):
                    self.refused.pop(folder, None)
                elif folder not in self.refused:
                    try:
                        latest[name] = Model(folder)
                        break
                    except PresetError as error:
                        self.refused[folder] = error
                        lines.append(f"refused {name} version {folder.name}: {error}")
        self._seen, self.latest = stamps, latest
        lines += [f"let go {m.name} version {m.version}" for m in before.values() if m not in latest.values()]
        lines += [f"serving {m.name} version {m.version}" for m in latest.values() if m not in before.values()]
        return lines

    def _folders(self) -> dict[str, list[Path]]:
        """Returns the version folders, in order, by the name of their model."""
        return {
            path.name: found
            for path in sorted(self._tree.glob("*"))
            if (found := savedmodels.versions(path.name, self._tree))
        }


def _stamp(folder: Path) -> list:
    """Returns what changes when a file of `folder` does."""
    stamp = []
    for file in sorted(folder.rglob("*")):
        with contextlib.suppress(FileNotFoundError):
            stat = file.stat()
            stamp.append((file, stat.st_size, stat.st_mtime_ns))
    return stamp


def _names(definition: meta_graph_pb2.SignatureDef) -> Names:
    inputs = {
        name: Tensor(
            tf.dtypes.as_dtype(info.dtype).name,
            tuple(None if dim.size < 0 else dim.size for dim in info.tensor_shape.dim),
        )
        for name, info in definition.inputs.items()
    }
    return Names(inputs, tuple(definition.outputs))
