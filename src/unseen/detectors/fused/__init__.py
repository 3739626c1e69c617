"""Parts of :class:`unseen.detectors.unseen_detector.UnseenDetector`: novelty in several spaces; labels."""
