"""The few-shot head (Zakharov et al. 2019), and what the shipped head adds to it.

* avatar/: One person: saved, loaded, and moved by a motion.
* data/: What the head learns from: shards of tracked faces, episodes, photos.
* deployment/: A person's network outside PyTorch: ONNX and OpenVINO, as files and while rendering.
* evaluation/: The paper's protocol on people unseen in training, beside baselines.
* networks/: The networks of the few-shot head: sizes in, tensors in, tensors out.
* training/: Meta-learning on many people, fine-tuning on one.
* warping/: A photo moved to other landmarks: the warped source that the shipped head composites over.
"""
