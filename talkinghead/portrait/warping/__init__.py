"""A photo moved to other landmarks: the warped source that the shipped head composites over.

* denoise: How far landmarks moved from one picture of a person to another, less what the detector's noise made of it.
* head_mesh: The rig as a photo's face needs it: skin above the jaw, eyes and mouth closed, following 68 landmarks
  exactly.
* layered_photo: A photo in layers, moved: the face over hair and neck over the background.
* layered_sources: A person's photos, in layers, moved to any landmarks: what the head composites over.
* layers: The layers of a photo: the background without its person, and the person's colours without the background.
* matte: The person's matte: how much of each pixel of a photo is the person, found once a photo.
* mesh_warp: A photo's head turned in three dimensions: for each pixel wanted, where in the photo it is fetched from.
* source_photos: A person's photos: which are taken for a target, and how they are laid over each other.
* warp: A photo moved to other landmarks: made ready once, moved as often as wanted.
"""
