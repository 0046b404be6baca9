"""Ways to train, by name. A protocol is data: the options that it fixes, where a run's own options say nothing."""

PROTOCOLS = {
    # A. Chennupati et al. (ICCCNT 2024): docs/REPRODUCTION.md has the source of each choice.
    "paper": {
        "split": "paper_train",
        "validation_split": "paper_validation",
        "training_pictures": 1800,
        "validation_pictures": 400,
        "validation_size": 256,
        "crop": 256,
        "flips": False,
        "epochs": 100,
        "batch_size": 2,
        "steps_per_epoch": 450,
        "learning_rate": 1e-3,
        "adam_beta_1": 0.5,
        "clip": None,
        "schedule": "plateau",
        "reveal_patience": 8,
        "beta": 0.75,
    }
}
