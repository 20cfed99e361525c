"""What the trainings of both wings share.

* ema: Averages that follow the weights, slowly: what is kept of a training.
* host_numbers: Numbers of a training that stay on the host: to ask a GPU for one is to wait for all it has to do.
* precision: Which arithmetic a machine computes fast with.
* progress: How far a training is, for those who watch it.
* run: What a run is told: where it lives, how long it goes.
* run_folder: What a run leaves in its folder, and how it goes on from there.
* settings_file: YAML files of settings, which anybody may have written: looked at before they are made into values.
* trainer: The Lightning trainer of a run.
"""
