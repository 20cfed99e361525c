"""Finding faces and their 68 landmarks.

* choice: A face detector by its name.
* detector: Finding faces and their 68 landmarks in a picture.
* dlib: dlib's face detector and its 68-point shape predictor.
* neural: The neural face detectors: MTCNN's boxes, FAN's landmarks.
"""
