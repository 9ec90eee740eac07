"""Files and objects under one roof: local paths, and addresses such as s3://bucket/key, read by byte ranges."""
