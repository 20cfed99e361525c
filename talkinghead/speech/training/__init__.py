"""The three speech models trained.

* base: What the three trainings share: batches that can be drawn again, one LightningModule.
* distillation: Sound alone -> takes: trained models that hear the future say what the face does, for a causal one to
  learn.
* karras: How Karras's network learns one speaker: segments of adjacent frames, an emotion database, three balanced
  losses.
* pham: How Pham's network learns any speaker: stretches of frames from all of them.
* recipe: How a kind of speech model learns. No PyTorch here, so that --help is quick.
* recipes: The kinds of training there are.
* run_folder: What a speech training leaves in its folder: checkpoint, model, sheets, figures.
* voca: How VOCA's network learns several speakers: pairs of consecutive windows, one-hot styles.
"""
