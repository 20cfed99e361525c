"""Motions to and from other programs' files.

* arkit_csv: ARKit's blendshapes as a CSV, a row a frame: what Live Link Face records and animation tools read.
* captured_rows: The rows of a captured take's CSV: found in whatever dialect, read as numbers, and put at their own
  times.
* export: A motion as files that other programs read: ARKit CSV, glTF with morph targets, a sequence of meshes.
* gltf: A head that moves as glTF 2.0: one mesh whose morph targets are expressions, and an animation of their
  weights.
"""
