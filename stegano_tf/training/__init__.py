"""Training: pictures to pairs, the combined loss, and what keeps a run alive."""
