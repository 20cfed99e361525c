"""A photo moved to other landmarks: the warped source that the shipped head composites over.

* denoise: How far landmarks moved from one picture of a person to another, less what the detector's noise made of it.
* source_photos: A person's photos moved to any landmarks: what a generator paints over.
* warp: A photo moved to other landmarks, and the choice of the photo that needs to move least.
"""
