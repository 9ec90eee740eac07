"""Servers for the tests of this folder."""

from tests.storage.servers import proxied, s3, s3_server

__all__ = ["proxied", "s3", "s3_server"]
