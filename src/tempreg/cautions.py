"""What must be said wherever a number is shown that looks better than it is."""

CHOSEN_ON_TEST = (
    "The epoch was chosen on the test set itself, as the published scripts do it (keep: "
    "best-on-test): this test accuracy is too high, and must not be believed or compared."
)
SEES_LATER = (
    "its psn neurons see later timesteps, so that what it says before the last timestep rests on "
    "all of them: accuracies by timestep are none of early answers"
)
