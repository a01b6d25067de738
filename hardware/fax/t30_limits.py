"""Timers and counters of T.30, all of them. Seconds. Pure."""

from __future__ import annotations

from typing import Final

T1: Final = 35.0
"""From answer to the first DIS (caller) or DCS (answerer); 35 ± 5 s (T.30, 5.4.3.1)."""
T2: Final = 6.0
"""A receiver waits for a command; 6 ± 1 s."""
T4: Final = 3.0
"""A sender waits for a response before it says the command again; 3 s ± 15 %."""
T5: Final = 60.0
"""How long a receiver may hold the sender back with RNR; 60 ± 5 s (T.30, A.5.4.1)."""
DIS_AFTER_EOM: Final = T2 + T4 + 6.0
"""From MCF to EOM until the new DIS: the receiver waits T2, then speaks for some 2 s."""
TCF_HEARD: Final = 4.0
"""From DCS until the training check is over: pause 0.1, training 1.4, zeros 1.5, and a second."""
CARRIER: Final = 6.0
"""From the answer until the page's carrier; a sender may prepare the page only now."""

COMMAND_TRIES: Final = 3
"""Times a command is said without an answer (T.30, 5.4.1)."""
CRP_TRIES: Final = 3
"""Repeats on CRP; they do not count as tries, but do not go on for ever."""
PPR_BEFORE_CTC: Final = 4
"""Requests for the same block before the speed is changed (T.30, A.4.4)."""
PAGE_TRIES: Final = 3
"""Times a page is sent before RTN, or a fall back to DIS, ends the call."""
TRAININGS: Final = 12
"""Training checks in a row without a page in between: every speed twice."""
DIS_REPEATS: Final = 3
"""DIS heard again in answer to DCS and TCF."""
RESPONSES: Final = 12
"""Unforeseen frames in one wait; a babbling peer ends here."""
ANSWER_REPEATS: Final = 6
"""Times a receiver gives the same answer again: three tries of a command, and CRP."""

FRAME_SECONDS: Final = 5.0
"""From the carrier of a V.21 frame to its end: preamble 1.15, frame 3.45 (T.30, 5.3.1)."""
REPEATED_PPM: Final = 3.7
"""A post-page message that comes sooner after our answer than this is the old one said again: the
sender waits T4 from the end of its own, and speaks for 1.3 s. No page fits in that time: the
shortest A4 page takes 3.3 s at 14400 bit/s."""

TCF_GOOD_SECONDS: Final = 1.0
"""A training check needs an unbroken run of zeros of this length."""
TCF_BAD_SHARE: Final = 0.1
"""And at most this share of octets that are not zero."""
GOOD_LINES: Final = 0.95
"""A page without ECM is good with this share of good lines ..."""
BAD_STREAK: Final = 5
"""... and at most so many damaged ones in a row."""

BLOCK_FRAMES: Final = 256
MAX_PAGE_OCTETS: Final = 4 << 20
"""What a received page may take on the line: 40 min at 14400 bit/s."""
MAX_PAGES: Final = 100
CALL_SECONDS: Final = 2 * 3600.0
"""No call is longer: 100 dense pages at 9600 bit/s take 50 min."""
