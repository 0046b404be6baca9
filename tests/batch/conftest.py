"""Collections of small pictures, and a job on them."""

import csv

import pytest

from stegano_tf import images


@pytest.fixture
def collection(tmp_path, photograph):
    """Makes pictures of 32x32 and a CSV manifest of `count` pairs beside them; returns the manifest."""

    def make(count, **columns):
        for seed in range(3):
            images.write(tmp_path / f"{seed}.png", photograph(32, 32, seed), force=True)
        rows = [
            {"id": f"p{i}", "cover": f"{i % 3}.png", "secret": f"{(i + 1) % 3}.png", "output": f"{i % 2}/{i}.png"}
            for i in range(count)
        ]
        for name, values in columns.items():
            for row, value in zip(rows, values, strict=True):
                row[name] = value
        path = tmp_path / "pairs.csv"
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)
        return path

    return make
