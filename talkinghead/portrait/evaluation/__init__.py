"""The paper's protocol on people unseen in training, beside baselines.

* aggregate: From records to numbers: means over people, the far third, movement, driving by others.
* all_videos: All videos of an evaluation, each at every T: resumable, because what was measured stays in the output
  folder.
* measures: What looks at results: a detector, the face network, and LPIPS and Inception where their weights are on
  this machine.
* metrics: Measures of a result against the truth: pictures, landmarks, movement, distributions.
* one_video: One video evaluated: an avatar from T of its frames against held-out frames and baselines, and moved by a
  stranger.
* protocol: Who and what is evaluated: videos, source frames, held-out frames, drivers. Everything follows from a
  seed.
* records: What was measured of one video at one number of source frames, and its file.
* tables: The results of an evaluation as JSON and as Markdown.
"""
