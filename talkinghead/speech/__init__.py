"""Speech -> motion: Karras et al. 2017, Pham et al. 2017 and VOCA (Cudeiro et al. 2019).

* features: What the three networks hear: autocorrelation (Karras), mel + MFCC + chroma (Pham), phonetic scores
  (VOCA).
* karras2017: Karras et al. 2017: from autocorrelation and an emotion vector to vertices.
* model: A trained speech model: one file, one call from sound to motion.
* mouth_check: Does a mouth move with its sound? Labels that do not are dropped before anybody learns from them.
* mouth_range: How far a mouth that speaks opens: as far as people's do, and shut at p, b and m.
* pham2017: Pham et al. 2017: from mel, MFCC and chroma to head rotation and 46 blendshape weights, causally.
* phonetics: Who hears phonemes for VOCA: scores of 29 phonetic classes, 50 times a second.
* speech_synthesis: Text -> speech: espeak-ng, as a library or a program, or any command that writes a sound file.
* voca2019: VOCA, Cudeiro et al. 2019: from phonetic scores and a speaking style to the offsets of a template's
  vertices.
* corpora/: Speech corpora: recordings of others read, written as one format, cut into sequences.
* evaluation/: How well a speech model moves a face.
* speaking/: What a speech model says becomes a whole head that moves: pose, blinks, landmarks, clips.
* training/: The three speech models trained.
"""
