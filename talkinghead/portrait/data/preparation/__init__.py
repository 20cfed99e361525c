"""A folder of videos -> shards of tracked, cropped faces.

* clips: One clip of a collection: who it shows, and its faces as tracks on disk.
* contact_sheet: A picture of what became of every clip.
* cropping: Tracks of faces -> crops on disk: what of a track is good enough, and the second reading that crops it.
* jobs: One clip to be done: where its tracks, record and strip of pictures are kept, and doing it.
* people: Telling the people of one clip apart.
* pool: Clips spread over processes, which may crash or be killed.
* prepare: A folder of videos -> shards: clips in parallel, each finished one kept, so that a killed run goes on.
* settings: What `prepare` is told: sizes and thresholds, and which videos.
"""
