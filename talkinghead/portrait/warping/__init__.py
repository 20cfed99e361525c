"""A photo moved to other landmarks: the warped source that the shipped head composites over.

* denoise: How far landmarks moved from one picture of a person to another, less what the detector's noise made of it.
* layers: The layers of a photo: the background without its person, and the person's colours without the background.
* matte: The person's matte: how much of each pixel of a photo is the person, found once a photo.
* source_photos: A person's photos: which are taken for a target, and how they are laid over each other.
* warp: A photo moved to other landmarks: made ready once, moved as often as wanted.
"""
