"""Storage servers for runs that read from buckets and write to them."""

from tests.storage.servers import proxied, s3, s3_server

__all__ = ["proxied", "s3", "s3_server"]
