"""What the trainings of both wings share.

* ema: Averages that follow the weights.
* run: What a run is told: where it lives, how long it goes.
* run_folder: What a run leaves in its folder, and how it goes on from there.
* trainer: The Lightning trainer of a run.
"""
