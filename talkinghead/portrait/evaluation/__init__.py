"""The paper's protocol on people unseen in training, beside baselines.

* all_videos: All videos of an evaluation, each at every T: resumable, because what was measured stays in the output
  folder.
* measures: What looks at results: a detector, the face network, and LPIPS and Inception where their weights are on
  this machine.
* methods: What is compared: heads, feed-forward and fine-tuned, and baselines that need no training.
* metrics: Measures of a result against the truth: pictures, landmarks, movement, distributions.
* one_video: One video evaluated: an avatar from T of its frames against held-out frames and baselines, and moved by a
  stranger.
* protocol: Who and what is evaluated: videos, source frames, held-out frames, drivers. Everything follows from a
  seed.
* rig_distance: How far heads are apart, by the rig: the turn between photo and target, expression and pose of result
  and truth.
* second_identity: A second opinion on likeness: an identity network that no loss of this project has seen.
* tasks: A benchmark for any program: a list of tasks written as files, and clips that were made from it read again.
* report/: From what was measured to tables.
"""
