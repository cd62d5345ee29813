"""The base of all config models: frozen values, no unknown keys, no silent conversions."""

from pydantic import BaseModel, ConfigDict


class Part(BaseModel):
    """Base of all config models.

    The text below a field documents it; `model_fields[name].description` holds that text.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )
