"""Pseudonyms from a secret key: the same patient, object and offset again with the same key.

Every pseudonym is an HMAC of what it stands for. Without a key one is drawn and forgotten: then
two runs cannot be put together, and nobody can find the way back.
"""

import base64
import hmac
import secrets
import uuid
from dataclasses import dataclass
from datetime import date, timedelta
from hashlib import sha256

from rerad.errors import InputError

SHORTEST_KEY = 16
"""Characters of a key: fewer can be guessed."""

SHIFT_FROM_DAYS, SHIFT_TO_DAYS = 10958, 21915
"""Dates move back 30 to 60 years: no record spans that, so no shifted date is a date of hers."""

STANDARD_UIDS = "1.2.840.10008."
"""UIDs that DICOM itself defines; they name no patient."""


@dataclass(frozen=True, slots=True)
class PseudonymKey:
    """The secret that pseudonyms are made with.

    Parameters
    ----------
    secret : bytes
        At least 16 bytes.
    """

    secret: bytes

    def __post_init__(self) -> None:
        if len(self.secret) < SHORTEST_KEY:
            msg = f"expected a key of at least {SHORTEST_KEY} characters, got {len(self.secret)}; "
            msg += "fewer can be guessed, and then everything can be undone"
            raise InputError(msg)

    def __repr__(self) -> str:
        """Keep the secret out of logs and messages."""
        return "PseudonymKey(...)"

    def digest(self, purpose: str, text: str) -> bytes:
        """Return the HMAC of a text for one purpose."""
        return hmac.new(self.secret, f"{purpose}\x1f{text}".encode(), sha256).digest()

    def patient_id(self, patient_id: str) -> str:
        """Return the pseudonym of a patient."""
        code = base64.b32encode(self.digest("patient", patient_id)).decode("ascii")
        return f"RERAD-{code[:12]}"

    def uid(self, uid: str) -> str:
        """Return the UID that stands for another; those of the standard stay."""
        if uid.startswith(STANDARD_UIDS) or not uid:
            return uid
        return f"2.25.{uuid.UUID(bytes=self.digest('uid', uid)[:16], version=4).int}"

    def offset_days(self, patient_id: str) -> int:
        """Return by how much all dates of a patient move; always backwards."""
        number = int.from_bytes(self.digest("offset", patient_id)[:8], "big")
        return -(SHIFT_FROM_DAYS + number % (SHIFT_TO_DAYS - SHIFT_FROM_DAYS))


def new_key() -> PseudonymKey:
    """Return a key that nobody knows."""
    return PseudonymKey(secrets.token_bytes(32))


def shifted(text: str, days: int) -> str:
    """Return a DA or DT value moved by whole days; empty where it is no date.

    Examples
    --------
    >>> shifted("20240301", -1)
    '20240229'
    >>> shifted("20240301120000.5", 1)
    '20240302120000.5'
    """
    plain = text.strip()
    if len(plain) == 10 and plain[4] == plain[7] == ".":
        plain = plain.replace(".", "")
    try:
        day = date(int(plain[:4]), int(plain[4:6]), int(plain[6:8])) + timedelta(days=days)
    except (ValueError, OverflowError):
        return ""
    return f"{day:%Y%m%d}{plain[8:]}"
