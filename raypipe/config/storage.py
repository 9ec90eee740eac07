"""Where buckets are."""

from __future__ import annotations

from pydantic import NonNegativeInt, PositiveFloat

from raypipe.config.base import Frozen


class S3Config(Frozen):
    """Where S3 is; credentials come from the environment, `~/.aws` or the machine's role, never from here."""

    endpoint: str | None = None
    """URL of a server other than AWS, e.g. http://127.0.0.1:9000; None takes AWS_ENDPOINT_URL, else AWS."""
    region: str | None = None
    """None takes AWS_REGION or AWS_DEFAULT_REGION, else asks S3 where the bucket is."""
    anonymous: bool = False
    """Read public buckets without credentials."""


class GcsConfig(Frozen):
    """Where Google Cloud Storage is; credentials are the application default ones."""

    endpoint: str | None = None
    """URL of a server other than Google's; None takes STORAGE_EMULATOR_HOST, else Google's."""
    anonymous: bool = False
    """Read public buckets without credentials."""


class AzureConfig(Frozen):
    """Where Azure Blob Storage is; credentials come from AZURE_STORAGE_… variables or the default Azure chain."""

    account: str | None = None
    """Storage account, for addresses that do not name one; None takes AZURE_STORAGE_ACCOUNT."""
    blob_endpoint: str | None = None
    """URL of a blob service other than Azure's, e.g. http://127.0.0.1:10000."""
    dfs_endpoint: str | None = None
    """URL of its Data Lake service; None takes `blob_endpoint`."""


class StorageConfig(Frozen):
    """Buckets: where they are and how patiently they are asked. It holds no secret and travels to workers."""

    s3: S3Config = S3Config()
    gcs: GcsConfig = GcsConfig()
    azure: AzureConfig = AzureConfig()
    retries: NonNegativeInt = 5
    """How often a request that may pass, as under throttling or a cut connection, is tried again."""
    backoff_s: PositiveFloat = 0.2
    """Longest wait before the first retry; it doubles with each, up to 20 s, and a random share of it is waited."""
    connect_timeout_s: PositiveFloat = 5.0
    """For a connection."""
    request_timeout_s: PositiveFloat = 30.0
    """For an answer that does not move."""
    upload_every_s: PositiveFloat = 15.0
    """How often the log of a run that writes to a bucket is brought there."""
