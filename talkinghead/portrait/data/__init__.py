"""What the head learns from: shards of tracked faces, episodes, photos.

* augment: One random change of appearance and shape for a whole episode, so that a small collection holds more
  people.
* episodes: K-shot episodes for meta-learning: K source frames and one other target frame of the same track.
* episodes_config: Which episodes are drawn, and how. No PyTorch here, so that --help is quick.
* photo_batches: Batches of a person's photos, each time changed a little, for fine-tuning.
* photos: A few photos of one person: found, checked, cropped as the training frames are, with landmarks.
* shards: Shards: tracks of faces as a litdata dataset, one sample a track.
* track_heads: The heads that tracks show: pose and expression of their frames, and source frames moved by them, for
  episodes.
* video_photos: Photos of a person picked from a video.
* whole_picture: The whole picture that a head was cut from, and the head put back into it.
* preparation/: A folder of videos -> shards of tracked, cropped faces.
"""
