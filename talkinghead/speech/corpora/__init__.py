"""Speech corpora: recordings of others read, written as one format, cut into sequences.

* biwi: The Biwi 3-D Audiovisual Corpus (B3D(AC)2): meshes of 23,370 vertices at 25 frames a second, with sound.
* corpus: A corpus of speech: sound and Motion of each sequence, who speaks, what, how, and which split it belongs to.
* facegood: Blendshape weights with sound, as FACEGOOD published them: NAME.npy and NAME.flac (or .wav) side by side.
* ravdess: RAVDESS: emotional sentences of 24 actors, whose file names say everything.
* recordings: What readers of speech corpora find: recordings, each of which can be read into takes of sound and
  motion.
* sequences: A corpus as the trainings read it: each sequence's face at any time, and what it sounds like.
* talking_videos: Videos of people who talk -> takes: the face of the speaker followed, the rig fitted to it, the
  sound cut to it.
* vocaset: VOCASET as it is distributed: meshes of FLAME's topology at 60 frames a second, with sound.
* write: Recordings of any kind -> a speech corpus: each is read, checked and stored; one that is finished stays
  finished.
"""
