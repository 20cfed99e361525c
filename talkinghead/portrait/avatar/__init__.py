"""One person: saved, loaded, and moved by a motion.

* animation: A person who moves: the background chosen, turns limited, frames rendered as they are taken.
* avatar: An avatar: one person's generator with its AdaIN parameters, saved, loaded, and animated by whatever moves.
* layered_rendering: Frames at the photos' own size: a small network corrects what the moved photo gets wrong.
* reenactment: An avatar moved by a motion, written as a clip with the motion's rate and sound.
* retargeting: A motion retargeted to a person: the landmarks that are drawn, from those of whoever moves.
"""
