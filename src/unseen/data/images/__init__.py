"""Reading folders of pictures: layouts of public data sets and plain folders, decoded lazily."""

from unseen.data.images.decoding import decode_image, decode_mask
from unseen.data.images.image_set import ImageSet, concat_images
from unseen.data.images.items import ImageItem
from unseen.data.images.layouts.catalogue import LAYOUTS
from unseen.data.images.reading import read_images

__all__ = ["LAYOUTS", "ImageItem", "ImageSet", "concat_images", "decode_image", "decode_mask", "read_images"]
