"""The networks of the few-shot head: sizes in, tensors in, tensors out.

* blocks: The one block family of the three networks: a pre-activation residual block, plain, normalised or adaptive.
* compositing: What the shipped head adds to the paper's generator: it paints over a warped source, where the warp is
  wrong.
* config: Sizes of the few-shot head.
* discriminator: D: whether a frame is real, fits its landmarks and shows the person of its video.
* embedder: E: who somebody is, from one frame and its landmarks.
* generator: G: a landmark image in, a frame of the embedded person out.
* head: The meta-learned head: three networks, saved as one file.
* layers: Layers of the few-shot head, written so that a CPU spends its time in convolutions that are needed.
* vgg: VGG19 and VGGFace, cut after their last tap, on the scale their weights were trained on.
"""
