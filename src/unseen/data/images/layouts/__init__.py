"""How public data sets and plain folders lay out pictures, one file a layout."""
