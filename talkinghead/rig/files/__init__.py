"""Rigs from files of several formats.

* flame: FLAME as a rig: its expression space in both directions, a jaw, and its identity space.
* folder: A rig from shapes: a neutral mesh, the same mesh in each expression and identity, and where the landmarks
  are.
* gltf: Shapes from glTF 2.0: the mesh with most morph targets in a .gltf or .glb file.
* load: Rigs from and to files: our own format, and the way to the readers of others.
* meshes: Meshes from and to files: Wavefront OBJ and PLY, vertices and triangles alone.
* own: Our own format for rigs, and the two that ship.
"""
