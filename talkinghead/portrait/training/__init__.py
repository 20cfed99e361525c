"""Meta-learning on many people, fine-tuning on one.

* adam: Adam with beta1 = 0, as GANs are often trained with.
* adversarial_losses: The adversarial losses of the few-shot head.
* config: How networks learn: the settings of meta-learning and of fine-tuning. No PyTorch here, so that --help is
  quick.
* content_loss: Content losses: how far a frame is from the truth, as networks see it.
* early_stopping: Fine-tuning stopped by photos that it does not learn from.
* fine_tuning: Fine-tuning: a meta-learned head made one person's own on a few photos.
* meta_learning: Meta-learning: the few-shot head trained on episodes, each a K-shot task of its own.
* preview: A picture of what fine-tuning did: each photo, its landmarks, and the avatar before and after.
* run_folder: What a training run leaves in its folder: checkpoint, head, sheets of samples, validation figures.
"""
