"""Video, sound, pictures and files <-> arrays.

* audio: Sound <-> arrays, streaming.
* collection: A folder of videos: which files are videos, and whom they show.
* containers: Media files opened as files and nothing else: packets -> frames, past damage; sound beside the frames of
  a clip.
* display: A stored picture -> as it is meant to be seen: upright, in its proportions, of the usual dynamic range.
* files: Files looked at before they are read, and written whole or not at all, those of a command together; texts and
  tables read.
* image: Pictures <-> arrays, and sheets of pictures.
* safe_pickle: Pickles that others distribute, read without running what they hold: arrays, numbers, texts, dicts,
  lists, tuples.
* tensors: Our safetensors files: tensors, and a header that says what they are. No code in such a file can run.
* video: Videos <-> frames, streaming.
"""
