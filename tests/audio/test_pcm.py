import numpy as np
import pytest

from stegano_tf.audio import pcm


def test_samples_worked_out_by_hand():
    # 256*b + 128 - 32768
    expected = {0: -32640, 1: -32384, 127: -128, 128: 128, 255: 32640}
    assert pcm.encode(bytes(expected)).tolist() == list(expected.values())


def test_bytes_worked_out_by_hand():
    # The lowest, the middle and the highest sample of the first, a middle and the last level: (s + 32768) >> 8.
    samples = np.array([-32768, -32640, -32513, -32512, -1, 0, 255, 256, 32512, 32640, 32767], np.int16)
    assert pcm.decode(samples).tolist() == [0, 0, 0, 1, 127, 128, 128, 129, 255, 255, 255]


def test_every_byte_survives_every_noise_of_up_to_127():
    data = np.arange(256, dtype=np.uint8)
    noise = np.arange(-127, 128, dtype=np.int16)[:, None]
    noisy = pcm.encode(data) + noise
    np.testing.assert_array_equal(pcm.decode(noisy), np.broadcast_to(data, noisy.shape))


def test_decode_reads_one_channel_of_many_and_fills_the_given_array():
    frames = np.stack([pcm.encode(b"left"), pcm.encode(b"rite")], axis=1)
    out = np.zeros(4, np.uint8)
    assert pcm.decode(frames[:, 1], out=out) is out
    assert out.tobytes() == b"rite"


def test_decode_leaves_its_input_alone():
    samples = pcm.encode(b"\x00\x80\xff")
    before = samples.copy()
    pcm.decode(samples)
    np.testing.assert_array_equal(samples, before)


def test_decode_refuses_other_dtypes():
    with pytest.raises(TypeError, match="float64, expected int16"):
        pcm.decode(np.zeros(3))
