"""Which secret goes with which cover wherever nothing is drawn at random: the scoreboard, validation, the demo."""


def pairs(count: int) -> list[tuple[int, int]]:
    """Returns the (cover, secret) indexes for `count` pictures in their order: i and (i + count // 2) % count."""
    return [(i, (i + count // 2) % count) for i in range(count)]
