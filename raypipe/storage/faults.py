"""What went wrong between us and a bucket: told apart by kind, tried again where it may pass, and put into words.

The clouds' clients give one class of error for everything, so that kinds are told by the codes in its text. The text
itself may hold the id of a key or a signature: it is shown with those taken out.
"""

from __future__ import annotations

import logging
import os
import random
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal, TypeVar

import pyarrow as pa

from raypipe.config import StorageConfig
from raypipe.errors import OutputError, ReadError
from raypipe.storage.address import Address
from raypipe.storage.connect import endpoint_of

logger = logging.getLogger(__name__)

T = TypeVar("T")
Kind = Literal[
    "no_bucket", "missing", "no_credentials", "bad_credentials", "denied", "wrong_region", "throttled", "cut",
    "network", "other",
]  # fmt: skip
PASSING: frozenset[Kind] = frozenset({"throttled", "cut", "network"})
"""Kinds that may be over a moment later."""
MAX_WAIT_S = 20.0
DETAIL_CHARS = 200
FAULTS = (OSError, pa.ArrowException)
"""What the clients raise."""

_SIGNS: tuple[tuple[Kind, str], ...] = (
    ("no_bucket", r"NO_SUCH_BUCKET|NoSuchBucket|ContainerNotFound|bucket does not exist"),
    ("wrong_region", r"HTTP status 301|PermanentRedirect|AuthorizationHeaderMalformed|IllegalLocationConstraint"),
    ("throttled", r"SLOW_DOWN|SlowDown|THROTTL|HTTP status (503|429)|ServerBusy|RESOURCE_EXHAUSTED|TooManyRequests"),
    ("no_credentials", r"DefaultAzureCredential|default credentials|[Uu]nable to locate credentials|metadata\.google"),
    ("bad_credentials", r"INVALID_ACCESS_KEY|SIGNATURE_DOES_NOT_MATCH|ExpiredToken|EXPIRED_TOKEN|INVALID_CLIENT_TOKEN"
                        r"|InvalidToken|AuthenticationFailed|UNAUTHENTICATED|HTTP status 401"),
    ("denied", r"ACCESS_DENIED|AccessDenied|HTTP status 403|PERMISSION_DENIED|AuthorizationFailure"
               r"|AuthorizationPermissionMismatch|Forbidden"),
    ("missing", r"NO_SUCH_KEY|NoSuchKey|BlobNotFound|NOT_FOUND|Path does not exist|HTTP status 404"),
    ("cut", r"curlCode: 18|partial file|came short|Cannot read past end"),
    ("network", r"NETWORK_CONNECTION|curlCode|[Cc]ould(n't| not) (connect|resolve)|[Ff]ail(ed)? to (connect|get a new)"
                r"|[Tt]imed? ?out|UNAVAILABLE|DEADLINE_EXCEEDED|HTTP status 5\d\d|INTERNAL_FAILURE|InternalError"
                r"|Retry policy exhausted|[Cc]onnection (reset|refused|closed|error)"),
)  # fmt: skip
_SECRETS = re.compile(
    r"\b(?:AKIA|ASIA)[A-Z0-9]{12,}\b|(?<=sig=)[^&\s]+|(?<=[Ss]ignature=)[^&\s]+|(?<=[Tt]oken=)[^&\s]+"
    r"|(?<=Credential=)[^&\s,]+|(?<=AccountKey=)[^;\s]+|(?<=Bearer )\S+"
)
_LIST = {
    "s3": "aws s3 ls s3://{bucket}/{folder}",
    "gs": "gcloud storage ls gs://{bucket}/{folder}",
    "az": "az storage blob list --container-name {bucket} --prefix '{folder}'",
}
_CREDENTIALS = {
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, `aws configure`, or the role of the machine",
    "gs": "`gcloud auth application-default login`, GOOGLE_APPLICATION_CREDENTIALS, or the machine's service account",
    "az": "`az login`, AZURE_STORAGE_KEY, AZURE_STORAGE_SAS_TOKEN, or the machine's managed identity",
}


class CutShort(OSError):  # noqa: N818  # never seen outside of this package
    """Fewer bytes came than were promised."""

    def __init__(self, got: int, wanted: int) -> None:
        super().__init__(f"the answer came short: {got:,} bytes of {wanted:,}")


def kind_of(error: BaseException) -> Kind:
    """What kind of trouble an error of a client is."""
    text = str(error)
    told = next((kind for kind, signs in _SIGNS if re.search(signs, text)), None)
    if told is not None:
        return told
    if isinstance(error, FileNotFoundError):
        return "missing"
    if isinstance(error, PermissionError):
        return "denied"
    return "network" if isinstance(error, (ConnectionError, TimeoutError)) else "other"


def patiently(action: Callable[[], T], address: Address, config: StorageConfig) -> T:
    """What `action` returns; tried again, with growing random waits, while what went wrong may pass.

    The last error comes out as it is: `said` puts it into words.
    """
    attempt = 0
    while True:
        try:
            return action()
        except FAULTS as error:
            kind = kind_of(error)
            if kind not in PASSING or attempt >= config.retries:
                raise
            wait = random.uniform(0.25, 1.0) * min(MAX_WAIT_S, config.backoff_s * 2**attempt)
            attempt += 1
            logger.warning(
                "%s: %s; trying again in %.1f s (%d of %d)", address, detail(error), wait, attempt, config.retries
            )
            time.sleep(wait)


def read_error(error: BaseException, address: Address, config: StorageConfig) -> ReadError:
    """An error while reading or listing, in words."""
    return ReadError(said(error, address, config, "read"))


def output_error(error: BaseException, address: Address, config: StorageConfig) -> OutputError:
    """An error while writing, in words."""
    return OutputError(said(error, address, config, "write"))


def said(error: BaseException, address: Address, config: StorageConfig, verb: Literal["read", "write"]) -> str:
    """Who, what came instead of what, and what to type next."""
    kind = kind_of(error)
    place = endpoint_of(address, config)
    folder = address.key.rpartition("/")[0]
    look = _LIST.get(address.family, "").format(bucket=address.bucket, folder=f"{folder}/" if folder else "")
    see = f" See what is there: {look}" if look else ""
    ways = _CREDENTIALS.get(address.family, "as its fsspec package documents")
    tries = f", {config.retries + 1} tries" if kind in PASSING else ""
    why = f" ({detail(error)}{tries})"
    texts: dict[Kind, str] = {
        "no_bucket": f"there is no bucket {address.bucket!r} at {place}. Check its name.{_top(address)}",
        "missing": f"there is no such object in bucket {address.bucket!r}.{see}",
        "no_credentials": f"{place} wants credentials, and none were found. Give them as {ways}{why}",
        "bad_credentials": f"{place} does not accept the credentials: they are wrong or out of date. Renew them: {ways}"
        f"{why}",
        "denied": f"no permission to {verb} it{_without(address)}. {_rights(address, verb)}{why}",
        "wrong_region": f"bucket {address.bucket!r} is in another region than {_region(config)}. Set the right one: "
        f"AWS_REGION=… or --set storage.s3.region=…, as `aws s3api get-bucket-location --bucket {address.bucket}` "
        f"says{why}",
        "throttled": f"{place} refuses for too many requests. Run again later, or with fewer workers: --workers 2{why}",
        "cut": f"the download was cut off each time it was tried. Check the network, and run again{why}",
        "network": f"{place} cannot be reached or does not answer. Check the network{_endpoint(address)}{why}",
        "other": f"{place} says: {detail(error)}.{see}",
    }
    return f"cannot {verb} {address}: {texts[kind]}"


def detail(error: BaseException) -> str:
    """The first line of a client's text, without credentials."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return masked(lines[0].partition(" error_info=")[0])[:DETAIL_CHARS].rstrip(" .")


def masked(text: str) -> str:
    """The text without ids of keys, signatures and tokens.

    Examples
    --------
    >>> masked("https://x/y?sig=abc%3D&se=1 by " + "AKIA" + "X" * 16)
    'https://x/y?sig=***&se=1 by ***'
    """
    return _SECRETS.sub("***", text)


def _top(address: Address) -> str:
    top = {"s3": "aws s3 ls", "gs": "gcloud storage ls", "az": "az storage container list"}.get(address.family)
    return f" See what is there: {top}" if top else ""


def _region(config: StorageConfig) -> str:
    return repr(config.s3.region) if config.s3.region else "the one that was asked"


def _endpoint(address: Address) -> str:
    names = {"s3": "storage.s3.endpoint", "gs": "storage.gcs.endpoint", "az": "storage.azure.blob_endpoint"}
    return f" and {names[address.family]}" if address.family in names else ""


def _rights(address: Address, verb: str) -> str:
    rights = {
        ("s3", "read"): "The role or user needs s3:ListBucket on the bucket and s3:GetObject on its objects",
        ("s3", "write"): "The role or user needs s3:PutObject, s3:ListBucket and s3:AbortMultipartUpload",
        ("gs", "read"): "The account needs the role roles/storage.objectViewer",
        ("gs", "write"): "The account needs the role roles/storage.objectUser",
        ("az", "read"): "The account needs the role Storage Blob Data Reader",
        ("az", "write"): "The account needs the role Storage Blob Data Contributor",
    }
    return rights.get((address.family, verb), "Ask the owner for access")


def _without(address: Address) -> str:
    """Whether credentials seem to be absent: S3 says "denied" to a request without any."""
    if address.family != "s3" or any(os.environ.get(name) for name in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE")):
        return ""
    home = Path(os.environ.get("AWS_SHARED_CREDENTIALS_FILE") or Path.home() / ".aws" / "credentials")
    return "" if home.exists() else f" (no credentials in the environment or {home}; give them as {_CREDENTIALS['s3']})"
