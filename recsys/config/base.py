"""What every part of a config shares: frozen values, no unknown keys, no silent conversions."""

from pydantic import BaseModel, ConfigDict


class Part(BaseModel):
    """Base of all config models; `Part.model_fields[name].description` documents each field."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )
