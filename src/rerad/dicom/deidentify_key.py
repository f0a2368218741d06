"""Pseudonyms from a secret key: the same patient, object and offset again with the same key.

Every pseudonym is an HMAC of what it stands for. Without a key one is drawn and forgotten: then
two runs cannot be put together, and nobody can find the way back.
"""

import base64
import hmac
import secrets
import uuid
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256

from rerad.errors import InputError

SHORTEST_KEY = 16
"""Characters of a key: fewer can be guessed."""

SHIFT_FROM_DAYS, SHIFT_TO_DAYS = 10958, 21915
"""Dates move back 30 to 60 years: no record spans that, so no shifted date is a date of hers."""

SHIFT_FROM_S, SHIFT_TO_S = 15 * 60, 6 * 3600
"""Times of day move by a quarter of an hour to six hours, either way: enough to hide them, too
little to take most moments of a working day past midnight."""

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

    def offset(self, patient_id: str) -> timedelta:
        """Return by how much all moments of a patient move: years back, and hours either way."""
        days = int.from_bytes(self.digest("offset", patient_id)[:8], "big")
        clock = int.from_bytes(self.digest("time of day", patient_id)[:8], "big")
        seconds = SHIFT_FROM_S + (clock >> 1) % (SHIFT_TO_S - SHIFT_FROM_S)
        return timedelta(
            days=-(SHIFT_FROM_DAYS + days % (SHIFT_TO_DAYS - SHIFT_FROM_DAYS)),
            seconds=seconds if clock & 1 else -seconds,
        )


def new_key() -> PseudonymKey:
    """Return a key that nobody knows."""
    return PseudonymKey(secrets.token_bytes(32))
