"""`--strategy` name -> `tf.distribute` strategy. What each one needs is checked before TensorFlow waits for it.

Only TensorFlow has `tf.distribute`: any other Keras back end trains on one device, and `default` is the only strategy.
"""

import contextlib
import json
import os
import signal
import threading
from collections.abc import Iterator

from absl import logging

from stegano_tf import stopping
from stegano_tf.errors import StrategyError, WorkerLostError, one_line

NAMES = ("default", "one_device", "mirrored", "multi_worker", "tpu")


def check(name: str) -> None:
    """Raises a `StrategyError` unless there is a strategy called `name`."""
    if name == "parameter_server":  # TensorFlow has it, too
        raise StrategyError(
            "strategy parameter_server is not offered: pairs are made by Python in the process that trains, which its "
            "workers are not, and its updates come in no fixed order; expected multi_worker for several machines"
        )
    if name not in NAMES:
        raise StrategyError(f"there is no strategy {name!r}, expected one of {', '.join(NAMES)}")


def make(name: str, *, logical_devices: int | None = None):
    """Returns the strategy called `name`, or None on a back end other than TensorFlow.

    Call it before anything that uses a device. `default` is TensorFlow's own choice of one device. `one_device` names
    that device and puts variables there, too. `mirrored` uses all GPUs of this machine, `multi_worker` those of all
    workers in TF_CONFIG.

    Args:
      logical_devices: split the CPU into so many devices, which `mirrored` then uses: for trying it without GPUs.

    Raises:
      StrategyError: there is no such strategy, or what it needs is missing: TensorFlow, a TPU, a TF_CONFIG that makes
        sense.
    """
    check(name)
    import keras  # noqa: PLC0415  (it takes seconds to import, and names of strategies are wanted before)

    backend = keras.backend.backend()
    if backend not in ("tensorflow", "jax"):
        raise StrategyError(f"the Keras back end is {backend}, expected tensorflow or jax")
    if backend == "jax":
        if name != "default" or logical_devices is not None:
            raise StrategyError(f"strategy {name} needs TensorFlow; the Keras back end is jax, which trains by default")
        return None
    import tensorflow as tf  # noqa: PLC0415

    tf.get_logger().setLevel("WARNING")  # at INFO, strategies tell of each reduction while they trace
    if logical_devices is not None:
        cpu = tf.config.list_physical_devices("CPU")[0]
        try:
            tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * logical_devices)
        except RuntimeError as error:
            raise StrategyError(f"logical_devices must be set before TensorFlow is used: {error}") from error
    match name:
        case "default":
            return tf.distribute.get_strategy()
        case "one_device":
            return tf.distribute.OneDeviceStrategy("GPU:0" if tf.config.list_physical_devices("GPU") else "CPU:0")
        case "mirrored":
            return _mirrored(tf, split=logical_devices is not None)
        case "multi_worker":
            return _multi_worker(tf)
        case "tpu":
            return _tpu(tf)


def _mirrored(tf, *, split: bool):
    kind = "CPU" if split or not tf.config.list_physical_devices("GPU") else "GPU"
    if kind == "CPU" and not split:
        logging.warning("There is no GPU: strategy mirrored runs on the CPU alone.")
    return tf.distribute.MirroredStrategy([device.name for device in tf.config.list_logical_devices(kind)])


def _multi_worker(tf):
    check_tf_config(os.environ.get("TF_CONFIG"))
    print("Waiting for all workers of TF_CONFIG.", flush=True)
    try:
        with _signals_of_their_own():
            return tf.distribute.MultiWorkerMirroredStrategy()
    except (tf.errors.DeadlineExceededError, tf.errors.UnavailableError, tf.errors.AbortedError) as error:
        raise WorkerLostError(f"another worker does not answer: {one_line(error)}") from error
    except (tf.errors.OpError, RuntimeError, ValueError) as error:
        raise StrategyError(f"TF_CONFIG: this worker cannot start: {one_line(error)}") from error


@contextlib.contextmanager
def _signals_of_their_own() -> Iterator[None]:
    """Lets signals end TensorFlow's wait, which no Python handler can, and undoes that TensorFlow ignores SIGTERM."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in stopping.SIGNALS}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _tpu(tf):
    try:
        return tf.distribute.TPUStrategy(tf.distribute.cluster_resolver.TPUClusterResolver.connect())
    except (tf.errors.OpError, RuntimeError, ValueError) as error:
        raise StrategyError(f"strategy tpu: no TPU can be reached: {one_line(error)}") from error


def check_tf_config(text: str | None) -> None:
    """Raises a `StrategyError` unless `text` is a TF_CONFIG for workers that has a place for this process.

    TensorFlow itself waits without end, or takes a typing error for one worker alone.
    """
    if not text:
        raise StrategyError('TF_CONFIG is not set, expected {"cluster": {"worker": [...]}, "task": {...}} in it')
    try:
        config = json.loads(text)
    except json.JSONDecodeError as error:
        raise StrategyError(f"TF_CONFIG does not parse as JSON: {error}") from error
    try:
        jobs = {job: list(addresses) for job, addresses in config["cluster"].items() if not isinstance(addresses, str)}
        kind, index = config["task"]["type"], int(config["task"]["index"])
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise StrategyError(
            'TF_CONFIG does not have the form {"cluster": {"worker": ["host:port", ...]}, '
            '"task": {"type": "worker", "index": 0}}'
        ) from error
    if kind not in ("chief", "worker") or index not in range(len(jobs.get(kind, ()))):
        tasks = ", ".join(f"{job} 0 to {len(jobs[job]) - 1}" for job in ("chief", "worker") if jobs.get(job))
        raise StrategyError(f"TF_CONFIG names task {kind} {index}, its cluster has {tasks or 'no workers'}")


def workers(strategy) -> tuple[int, int]:
    """Returns (index, count): which worker this process is, and of how many; (0, 1) unless there are several."""
    resolver = strategy and strategy.cluster_resolver
    cluster = resolver.cluster_spec().as_dict() if resolver else {}
    count = sum(len(cluster.get(job, ())) for job in ("chief", "worker"))
    if count < 2 or resolver.task_type not in ("chief", "worker"):
        return 0, 1
    before = len(cluster.get("chief", ())) if resolver.task_type == "worker" else 0
    return before + resolver.task_id, count


@contextlib.contextmanager
def noticing_lost_workers(strategy) -> Iterator[None]:
    """Turns what TensorFlow raises when another worker has gone into a `WorkerLostError`."""
    if workers(strategy)[1] < 2:
        yield
        return
    import tensorflow as tf  # noqa: PLC0415

    errors = tf.errors
    try:
        yield
    except (errors.UnavailableError, errors.AbortedError, errors.CancelledError, errors.DeadlineExceededError) as error:
        raise WorkerLostError(f"another worker was lost: {one_line(error)}") from error
