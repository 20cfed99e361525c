"""Video, sound, pictures and files <-> arrays.

* audio: Sound <-> arrays, streaming.
* collection: A folder of videos: which files are videos, and whom they show.
* decode: Packets -> frames, past damage.
* files: Files written whole or not at all, and tables read.
* image: Pictures <-> arrays, and sheets of pictures.
* mux: Sound beside the frames of a clip.
* safe_pickle: Pickles that others distribute, read without running what they hold: arrays, numbers, texts, dicts,
  lists, tuples.
* tensors: Our safetensors files: tensors, and a header that says what they are. No code in such a file can run.
* video: Videos <-> frames, streaming.
"""
