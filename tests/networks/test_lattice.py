import numpy as np
import pytest

from stegano_tf.networks.codebook import lattice

# The extended Hamming code: data, then parity, which leaves one of the four data bits out in turn.
WORDS = [
    "00000000", "00011110", "00101101", "00110011", "01001011", "01010101", "01100110", "01111000",
    "10000111", "10011001", "10101010", "10110100", "11001100", "11010010", "11100001", "11111111",
]  # fmt: skip


def numbers(words):
    return np.array([[int(digit) for digit in word] for word in words])


def embed(samples, bits, depth):
    """`lattice.embed` of sequences of whole numbers, with bits."""
    residues = lattice.residues(np.array(bits, "float32"), depth)
    return np.asarray(lattice.embed(np.array(samples, "float32"), residues, 2.0**depth))


def extract(samples, depth):
    return np.asarray(lattice.bits(lattice.extract(np.array(samples, "float32"), 2.0**depth), depth))


def random(depth, count, low=0, high=256, seed=0):
    """Samples and bits to hide in them."""
    generator = np.random.default_rng(seed)
    samples = generator.integers(low, high, (count, 8)).astype("float32")
    return samples, generator.integers(0, 2, (count, lattice.capacity(depth))).astype("float32")


def test_the_code_by_hand():
    np.testing.assert_array_equal(lattice._WORDS, numbers(WORDS))
    # Linear, and any two words differ in at least four places: that makes the lattice E8.
    sums = numbers(WORDS)[:, None] ^ numbers(WORDS)
    assert {"".join(map(str, word)) for word in sums.reshape(-1, 8)} == set(WORDS)
    assert sorted({word.count("1") for word in WORDS}) == [0, 4, 8]


def test_capacity_by_hand():
    # Four samples modulo 4 and four modulo 8: 2 and 3 bits each.
    assert [lattice.capacity(depth) for depth in (1, 2, 3)] == [12, 20, 28]


def test_a_group_by_hand():
    # Depth 1: the first four samples say one bit each, the others two, modulo 4 and but for a word of the code, twice.
    grey = [100] * 8
    assert embed(grey, [0] * 12, 1).tolist() == grey
    assert embed(grey, [1, 0, 0, 0, *[0] * 8], 1).tolist()[1:] == grey[1:]
    assert embed([102] + [100] * 7, [1, 0, 0, 0, *[0] * 8], 1).tolist() == [101, *grey[1:]]
    assert embed([100] * 7 + [102], [0, 0, 0, 0, *[0] * 6, 1, 1], 1).tolist() == [*grey[1:], 103]
    # The last four are to be 2 modulo 4. With the word 00011110 that is a sample of the first four and the last one:
    # both 98, each 1 from the cover. Without, it is three samples wrong by 2.
    assert embed([100, 100, 100, 99] * 2, [0, 0, 0, 0, *[1, 0] * 4], 1).tolist() == [100, 100, 100, 98] * 2
    # And back: 102 is 2 modulo 4, a word of the code begins with 1 then, and 10000111 takes 2 from the last three.
    assert extract([102, 101, 100, 100, 101, 100, 101, 103], 1).tolist() == [0, 1, 0, 0, 0, 1, 1, 0, 1, 1, 0, 1]


def test_the_most_significant_bit_comes_first():
    # Depth 2: a sample of the first four is 2 modulo 4, one of the others 4 modulo 8.
    assert embed([0] * 8, [*[0] * 2, 1, *[0] * 17], 2).tolist() == [0, 2, *[0] * 6]
    found = extract([0, 0, 0, 0, 0, 0, 0, 4], 2)
    assert np.flatnonzero(found).tolist() == [17]


@pytest.mark.parametrize("depth", [1, 2, 3, 4, 5])
def test_bits_come_back_from_all_samples(depth):
    samples, bits = random(depth, 4000)
    samples[:500] = 0
    samples[500:1000] = 255
    samples[1000:1500] = np.random.default_rng(1).choice([0.0, 1.0, 254.0, 255.0], (500, 8))
    found = embed(samples, bits, depth)
    np.testing.assert_array_equal(extract(found, depth), bits)
    assert found.min() >= 0
    assert found.max() <= 255
    np.testing.assert_array_equal(found, np.rint(found))
    assert np.abs(found - samples).max() < 2 ** (depth + 1)


def brute_force(samples, bits, depth):
    """The least squared error of all points of 0 to 255 that carry the bits: for each word, of each sample's values."""
    scale, least = 2**depth, []
    values = [int("".join(map(str, part)), 2) for part in np.split(bits[: 4 * depth].astype(int), 4)]
    values += [int("".join(map(str, part)), 2) for part in np.split(bits[4 * depth :].astype(int), 4)]
    for word in WORDS:
        residues = [(value + scale * int(digit)) % (2 * scale) for value, digit in zip(values, word, strict=True)]
        pairs = zip(residues, samples, strict=True)
        least.append(sum(min((v - sample) ** 2 for v in range(r, 256, 2 * scale)) for r, sample in pairs))
    return min(least)


@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize(("low", "high"), [(0, 256), (0, 4), (252, 256)])
def test_no_congruent_point_is_nearer(depth, low, high):
    samples, bits = random(depth, 60, low, high)
    found = np.square(embed(samples, bits, depth) - samples).sum(-1)
    assert found.tolist() == [brute_force(*each, depth) for each in zip(samples, bits, strict=True)]


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_the_error_is_that_of_the_lattice(depth):
    samples, bits = random(depth, 20_000, 32, 224)
    # The figure of Conway and Sloane is for real numbers; single samples modulo a number would have 0.083 instead.
    expected = 0.0717 * 2 * 4**depth
    assert np.square(embed(samples, bits, depth) - samples).mean() == pytest.approx(expected, abs=0.06)


def test_each_group_may_have_its_own_scale():
    (samples, _), scales = random(2, 60), np.repeat([[2.0], [4.0], [8.0]], 20, axis=0).astype("float32")
    places = np.concatenate([scales, 2 * scales], axis=1).repeat(4, axis=1)
    residues = np.floor(np.random.default_rng(1).random((60, 8)) * places).astype("float32")
    found = np.asarray(lattice.embed(samples, residues, scales))
    np.testing.assert_array_equal(lattice.extract(found, scales), residues)
    for rows, scale in ((slice(0, 20), 2.0), (slice(20, 40), 4.0), (slice(40, 60), 8.0)):
        np.testing.assert_array_equal(found[rows], lattice.embed(samples[rows], residues[rows], scale))


def test_whole_numbers_fall_apart_into_bits():
    found = lattice.bit(np.arange(256, dtype="float32")[:, None], 2.0 ** np.arange(7, -1, -1, dtype="float32"))
    np.testing.assert_array_equal(np.asarray(found), np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1))
