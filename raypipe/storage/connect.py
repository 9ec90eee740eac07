"""File systems of Arrow for addresses: its own for S3, GCS and Azure, and fsspec's for every other scheme.

Endpoints and regions come from `StorageConfig`, which `resolved` fills from the variables that the clouds' own tools
read. That is done once, in the driver, so that every worker asks the same place. Credentials are never in it: each
process finds its own by the usual chain.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pyarrow.fs as pafs

from raypipe._optional import require_extra
from raypipe.config import StorageConfig
from raypipe.errors import ConfigError, MissingDependencyError
from raypipe.storage.address import Address

_KEY = ("AZURE_STORAGE_KEY", "AZURE_STORAGE_ACCOUNT_KEY")
_SAS = ("AZURE_STORAGE_SAS_TOKEN",)


def resolved(config: StorageConfig, environ: Mapping[str, str] | None = None) -> StorageConfig:
    """The settings with what the environment says where they say nothing; no credential is among it.

    Examples
    --------
    >>> resolved(StorageConfig(), {"AWS_ENDPOINT_URL": "http://127.0.0.1:9000"}).s3.endpoint
    'http://127.0.0.1:9000'
    """
    env = os.environ if environ is None else environ
    connection = _connection(env)
    s3, gcs, azure = config.s3, config.gcs, config.azure
    return config.replace(
        s3=s3.replace(
            endpoint=s3.endpoint or _first(env, "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"),
            region=s3.region or _first(env, "AWS_REGION", "AWS_DEFAULT_REGION"),
        ),
        gcs=gcs.replace(endpoint=gcs.endpoint or _first(env, "STORAGE_EMULATOR_HOST")),
        azure=azure.replace(
            account=azure.account
            or _first(env, "AZURE_STORAGE_ACCOUNT", "AZURE_STORAGE_ACCOUNT_NAME")
            or connection.get("AccountName"),
            blob_endpoint=azure.blob_endpoint or connection.get("BlobEndpoint"),
        ),
    )


def filesystem(address: Address, config: StorageConfig) -> pafs.FileSystem:
    """The file system of an address; the same one is used again within a process."""
    if address.family == "s3":
        ours = config.s3
        searched = not (ours.endpoint or ours.region or ours.anonymous)
        return _s3(config, address.bucket if searched else None)
    if address.family == "gs":
        return _gcs(config)
    if address.family == "az":
        return _azure(config, address.account or config.azure.account)
    return _by_fsspec(address.scheme, address.bucket)


def path_of(address: Address) -> str:
    """What the file system of an address calls it."""
    if address.family in ("s3", "gs", "az"):
        return address.path
    from fsspec.core import url_to_fs  # `filesystem` said so if it is absent

    return str(url_to_fs(str(address))[1])


def endpoint_of(address: Address, config: StorageConfig) -> str:
    """Where an address is looked for, in words."""
    custom = {"s3": config.s3.endpoint, "gs": config.gcs.endpoint, "az": config.azure.blob_endpoint}
    plain = {"s3": "Amazon S3", "gs": "Google Cloud Storage", "az": "Azure Blob Storage"}
    return custom.get(address.family) or plain.get(address.family, address.scheme)


@functools.lru_cache(maxsize=16)
def _s3(config: StorageConfig, bucket: str | None) -> pafs.FileSystem:
    options: dict[str, Any] = {}
    if config.s3.endpoint:
        options["scheme"], options["endpoint_override"] = _split(config.s3.endpoint, "storage.s3.endpoint")
    region = config.s3.region
    if bucket is not None:
        with contextlib.suppress(OSError):  # what is wrong is told by the request that matters
            region = pafs.resolve_s3_region(bucket)
    if region or config.s3.endpoint:
        options["region"] = region or "us-east-1"  # what servers other than AWS expect where nothing is said
    return pafs.S3FileSystem(
        anonymous=config.s3.anonymous,
        connect_timeout=config.connect_timeout_s,
        request_timeout=config.request_timeout_s,
        # We try again ourselves, in one place for all clouds, and say so in the log.
        retry_strategy=pafs.AwsStandardS3RetryStrategy(max_attempts=1),
        **options,
    )


@functools.lru_cache(maxsize=16)
def _gcs(config: StorageConfig) -> pafs.FileSystem:
    options: dict[str, Any] = {}
    if config.gcs.endpoint:
        options["scheme"], options["endpoint_override"] = _split(config.gcs.endpoint, "storage.gcs.endpoint")
    # Its client tries again for a quarter of an hour unless told otherwise.
    limit = timedelta(seconds=max(1.0, config.connect_timeout_s))
    return pafs.GcsFileSystem(anonymous=config.gcs.anonymous, retry_time_limit=limit, **options)


@functools.lru_cache(maxsize=16)
def _azure(config: StorageConfig, account: str | None) -> pafs.FileSystem:
    if account is None:
        raise ConfigError(
            "azure: which storage account? Set storage.azure.account or AZURE_STORAGE_ACCOUNT, or name it in the "
            "address: abfs://CONTAINER@ACCOUNT.dfs.core.windows.net/KEY"
        )
    options: dict[str, Any] = {}
    for service, url in (("blob", config.azure.blob_endpoint), ("dfs", config.azure.dfs_endpoint)):
        if url or config.azure.blob_endpoint:
            scheme, authority = _split(url or str(config.azure.blob_endpoint), f"storage.azure.{service}_endpoint")
            # Arrow puts the account before an authority that starts with a dot, and into the path of any other.
            authority = authority.removeprefix(account) if authority.startswith(f"{account}.") else authority
            options |= {f"{service}_storage_scheme": scheme, f"{service}_storage_authority": authority}
    connection = _connection(os.environ)
    key = _first(os.environ, *_KEY) or connection.get("AccountKey")
    sas = _first(os.environ, *_SAS) or connection.get("SharedAccessSignature")
    if key:
        options["account_key"] = key
    elif sas:
        options["sas_token"] = sas
    return pafs.AzureFileSystem(account, **options)


@functools.lru_cache(maxsize=16)
def _by_fsspec(scheme: str, host: str) -> pafs.FileSystem:
    fsspec = require_extra("cloud", by=f"{scheme}://")
    try:
        system, _ = fsspec.core.url_to_fs(f"{scheme}://{host}/")
        return pafs.PyFileSystem(pafs.FSSpecHandler(system))
    except ImportError as error:
        raise MissingDependencyError(f"{scheme}:// needs a package of its own: {error}") from error
    except ValueError as error:
        raise ConfigError(
            f"{scheme}://: there is no such kind of storage ({error}). Wanted a path, s3://, gs://, az:// or another "
            "scheme that fsspec knows"
        ) from error


def _split(url: str, name: str) -> tuple[str, str]:
    """Scheme and authority of an endpoint; https where it has no scheme."""
    parts = urlsplit(url if "://" in url else f"https://{url}")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(f"{name}: got {url!r}; wanted a URL such as https://storage.example.com:9000")
    if parts.username or parts.password:
        raise ConfigError(f"{name}: a URL holds no credentials, since it ends up in logs and records. Leave them out")
    return parts.scheme, parts.netloc


def _first(env: Mapping[str, str], *names: str) -> str | None:
    return next((env[name] for name in names if env.get(name)), None)


def _connection(env: Mapping[str, str]) -> dict[str, str]:
    """The parts of AZURE_STORAGE_CONNECTION_STRING."""
    text = env.get("AZURE_STORAGE_CONNECTION_STRING", "")
    return dict(part.split("=", 1) for part in text.split(";") if "=" in part)
