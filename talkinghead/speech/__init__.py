"""From a voice to a moving face: Karras 2017, Pham 2017 and VOCA 2019, one file a paper."""
