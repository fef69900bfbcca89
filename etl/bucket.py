"""Settings of the store that holds a lake in a bucket."""

import os
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, HttpUrl, TypeAdapter, ValidationError

from etl.errors import UsageError
from lake.store.place import Place, place_of

BucketUrl = Annotated[str, Field(pattern=r"^[A-Za-z][\w+.-]*://")]


class S3(BaseModel):
    """The store of a lake at ``s3://bucket/prefix``: also ``DERIBIT_LAKE_S3__<FIELD>``.

    Its keys are no settings: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN are
    read from the environment, or the machine's own role is used.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    endpoint: HttpUrl | None = Field(
        None, description="where the store is; none: AWS_ENDPOINT_URL, or Amazon's"
    )
    region: str | None = Field(
        None, min_length=1, description="region of the bucket; none: AWS_REGION, or us-east-1"
    )
    lease_seconds: float = Field(
        60, ge=3, le=3600, description="how long a lock outlives its owner's last word"
    )
    work_dir: Path = Field(
        Path("work"), description="folder of this machine for journals and files in work"
    )

    def place(self, root: str | Path) -> Place:
        """Return the place of a lake at a folder or an address of this store.

        Raises
        ------
        UsageError
            If the environment names no endpoint that is one.
        """
        told = os.environ
        endpoint = self.endpoint or _endpoint("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
        return place_of(
            root,
            endpoint=None if endpoint is None else str(endpoint).rstrip("/"),
            region=self.region or told.get("AWS_REGION") or told.get("AWS_DEFAULT_REGION"),
            lease_seconds=self.lease_seconds,
            work_dir=self.work_dir,
        )


def _endpoint(*names: str) -> HttpUrl | None:
    """Return the endpoint the first of some variables names that is set."""
    for name in names:
        if told := os.environ.get(name):
            try:
                return TypeAdapter(HttpUrl).validate_python(told)
            except ValidationError as error:
                message = f"{name} is no address of a store: {error.errors()[0]['msg']}"
                raise UsageError(message) from None
    return None
