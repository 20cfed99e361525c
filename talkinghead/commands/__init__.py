"""One verb a file, each with `main(argv)`: parsing, and calls into the rooms below.

* demo: The main job on what every installation contains.
* doctor: What is installed, what is missing, and the command that fixes it.
* driver: What moves a head: a video, a motion or a CSV of ARKit curves.
* evaluate: The paper's protocol on people unseen in training.
* export: A motion -> files that other programs read.
* fine_tune: Photos -> an avatar.
* help_page: The help of a verb.
* live: A microphone or a stream -> frames while it is spoken.
* meta_train: Shards -> a few-shot head.
* options: One parser for all verbs.
* prepare: Videos -> shards.
* prepare_speech: Recordings of speech -> a corpus.
* progress: The progress bar of all verbs.
* reenact: An avatar and what moves -> a clip.
* settings_file: YAML of settings, looked at before it is made into values.
* speak: A voice or a text -> a clip.
* speech_train: Corpora -> a speech model.
"""
