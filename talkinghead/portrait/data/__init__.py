"""What the head learns from: shards of tracked faces, episodes, photos.

* augment: One random change of appearance and shape for a whole episode, so that a small collection holds more people.
* episodes: K-shot episodes for meta-learning: K source frames and one other target frame of the same track.
* episodes_config: Which episodes are drawn, and how.
* photo_batches: Batches of a person's photos, each time changed a little, for fine-tuning.
* photos: A few photos of one person: found, checked, cropped as the training frames are, with landmarks.
* shards: Shards: tracks of faces as a litdata dataset, one sample a track.
* video_photos: Photos of a person picked from a video.
* preparation/: A folder of videos -> shards of tracked, cropped faces.
"""
