"""Images that lie in tar shards, as webdataset writes them."""
