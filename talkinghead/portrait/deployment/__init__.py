"""A person's network outside PyTorch: ONNX and OpenVINO, as files and while rendering.

* choice: The names of what computes a person's network. No PyTorch here, so that --help is quick.
* person_network: A person's network as one graph with the person inside, and its files: ONNX and OpenVINO's.
* runtimes: What else than PyTorch computes a person's network: OpenVINO and ONNX Runtime.
"""
