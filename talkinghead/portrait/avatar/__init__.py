"""One person: saved, loaded, and moved by a motion.

* avatar: An avatar: one person's generator with its AdaIN parameters, which renders whatever moves.
* reenactment: An avatar moved by a motion, from landmarks to a clip, a few frames at a time.
* retargeting: A motion carried over to a person: the landmarks that are drawn, from those of whoever moves.
"""
