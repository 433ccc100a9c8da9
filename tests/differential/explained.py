"""Where other decoders take a feature of a stream otherwise, and why ours is held to be right.

The descriptions: docs.prophesee.ai (encoding and file formats) and the decoder of their maker
(github.com/prophesee-ai/openeb), docs.inivation.com (AEDAT file formats) and jAER, which wrote
them.
"""

from __future__ import annotations

from tests.differential import other_streams as others
from tests.differential import prophesee_streams as prophesee
from tests.differential.stream import CUT

NO_ANSWER = "it didn't answer"
_CUT = "reads what is whole; here a cut recording is refused"
_BACK = "gives the events as they are; here they are refused, for nobody has said what holds"
_CLAMPED = "sets such times to the last one's; here they are refused"
_OUTSIDE = "gives events that the sensor in the header can't have; here they are refused"
_EARLY = "gives them, at time 0; their time isn't known, as OpenEB sees it too"
NEVER = "runs on until it is stopped"
_LOOSE = {CUT: _CUT, prophesee.BACK: _BACK, prophesee.OUTSIDE: _OUTSIDE}

_NO_ROW = "gives them, in row 0; their row isn't known, as OpenEB sees it too"
_ROWS = "takes the pixels behind for events of the last row; in OpenEB they are none"
_RESERVED = "refuses, or has an event in their place; they are to be passed over"
_MARK = "takes it for another line of the header, also behind % end"
_LOWER = "keeps the lower bits of before; another TIME_HIGH sets them to 0 in OpenEB"
_T0 = "leaves it out; faery adds it, which writes it"
_TURN = "doesn't count turns of the counter"
_EVENT_2D = "refuses them; the description lays both types out alike"
_DAT_1 = "reads them by the layout of version 2"
_TRIGGERS = "reads them as events of pixels"
_SPECIAL = "gives them as events of pixels; jAER takes bit 15 for a signal from outside"

REASONS: dict[tuple[str, str], dict[str, str]] = {
    ("EVT 2.0", "faery"): {
        CUT: _CUT,
        prophesee.BACK: _CLAMPED,
        prophesee.EARLY: _EARLY,
        prophesee.MARK: _MARK,
    },
    ("EVT 2.0", "expelliarmus"): {
        **_LOOSE,
        prophesee.EARLY: _EARLY,
        prophesee.TURN: _TURN,
        prophesee.RESERVED: _RESERVED,
        prophesee.MARK: _MARK,
    },
    ("EVT 2.0", "evutils"): _LOOSE,
    ("EVT 2.1", "evutils"): {
        **_LOOSE,
        prophesee.LITTLE: "refuses them: only the order of the IMX636 is read",
    },
    ("EVT 3.0", "faery"): {
        CUT: _CUT,
        prophesee.BACK: _CLAMPED,
        prophesee.EARLY: _EARLY,
        prophesee.NO_ROW: _NO_ROW,
        prophesee.OTHER_ROWS: _ROWS,
        prophesee.JUMP: "passes over a TIME_HIGH that falls otherwise than from 4095 to 0; OpenEB "
        "takes a fall by half the range for a turn",
        prophesee.START: "passes over it, as over a step back from 0",
        prophesee.SINGLE: "goes on with the vector behind the pixel; VECT_BASE_X holds, in OpenEB "
        "and in the description",
        prophesee.MARK: _MARK,
    },
    ("EVT 3.0", "expelliarmus"): {
        **_LOOSE,
        prophesee.EARLY: _EARLY,
        prophesee.NO_ROW: _NO_ROW,
        prophesee.OTHER_ROWS: _ROWS,
        prophesee.RESERVED: _RESERVED,
        prophesee.SIGNALS: "has an event in their place",
        prophesee.FALL: "adds 4,096 us, which the TIME_HIGH before it has added already",
        prophesee.NO_LOW: _LOWER,
        prophesee.JUMP: "counts every fall of TIME_HIGH, and adds to what it gave too much before",
        prophesee.SINGLE: "goes on with the vector behind the pixel; VECT_BASE_X holds in OpenEB",
        prophesee.TURN: "keeps the lower bits of before",
        prophesee.MARK: _MARK,
    },
    ("EVT 3.0", "evt3"): {
        **_LOOSE,
        prophesee.NO_ROW: _NO_ROW,
        prophesee.OTHER_ROWS: _ROWS,
        prophesee.MARK: _MARK,
        prophesee.AGAIN: "sets the lower bits to 0; only another TIME_HIGH does so in OpenEB",
        prophesee.JUMP: "takes other falls for turns than by half the range, as OpenEB does",
    },
    ("EVT 3.0", "evutils"): {
        **_LOOSE,
        prophesee.NO_ROW: _NO_ROW,
        prophesee.OTHER_ROWS: _ROWS,
        prophesee.SINGLE: "calls the vector malformed",
        prophesee.LONE: "calls them malformed; the description has each kind by itself",
        prophesee.NO_LOW: _LOWER,
        prophesee.JUMP: "takes other falls for turns than by half the range, as OpenEB does",
    },
    ("Prophesee .dat", "faery"): {
        CUT: _CUT,
        prophesee.BACK: _CLAMPED,
        prophesee.EVENT_2D: _EVENT_2D,
        prophesee.TRIGGERS: _TRIGGERS,
    },
    ("Prophesee .dat", "expelliarmus"): {
        **_LOOSE,
        prophesee.DAT_1: _DAT_1,
        prophesee.TRIGGERS: _TRIGGERS,
        prophesee.NOTHING: "refuses such a file",
        prophesee.T0: _T0,
    },
    ("Prophesee .dat", "evutils"): {
        **_LOOSE,
        prophesee.DAT_1: _DAT_1,
        prophesee.TRIGGERS: _TRIGGERS,
        prophesee.T0: _T0,
    },
    ("N-MNIST .bin", "tonic"): {CUT: _CUT, prophesee.BACK: _BACK, others.WRAP: _TURN},
    ("N-MNIST .bin", "evio"): {
        CUT: _CUT,
        prophesee.BACK: _BACK,
        others.WRAP: _TURN,
        others.OVERFLOW: "gives them as events; the data set's authors add 2^13 us",
    },
    ("AEDAT 1", "evutils"): {
        CUT: _CUT,
        prophesee.BACK: _BACK,
        others.SPECIAL: _SPECIAL,
        others.HASH: "takes them for a line of the header, up to the next line's end",
    },
    ("AEDAT 2", "tonic"): {
        CUT: _CUT,
        prophesee.BACK: _BACK,
        others.SPECIAL: _SPECIAL,
        others.WRAP: _TURN,
    },
    ("AEDAT 2", "evutils"): {
        CUT: _CUT,
        prophesee.BACK: _BACK,
        others.SPECIAL: _SPECIAL,
        others.FLAGS: "leaves them out, as of a DAVIS; of a DVS128 the bit is the row's",
    },
    ("AEDAT 3.1", "tonic"): {
        CUT: _CUT,
        prophesee.BACK: _BACK,
        others.INVALID: "gives them; bit 0 says that they aren't valid",
        others.OTHER_PACKETS: "reads every packet as one of polarity events",
        others.PACKED: "doesn't know the format SerializedTS, which cAER writes and reads",
        others.MOVED: "leaves the overflow of a packet's time out",
    },
    ("AEDAT 3.1", "evutils"): {
        CUT: _CUT,
        prophesee.BACK: _BACK,
        others.PACKED: "doesn't know the format SerializedTS, which cAER writes and reads",
    },
    ("AEDAT 4", "faery"): {prophesee.BACK: _CLAMPED},
    ("AEDAT 4", "dv-processing"): {
        others.BY_HAND: "refuses: it wants the type of a stream in an attribute of its own",
    },
    ("AEDAT 4", "evutils"): _LOOSE,
    ("HDF5", "evutils"): {prophesee.BACK: _BACK},
    (".npz", "NumPy"): {CUT: _CUT, prophesee.BACK: _BACK},
    (".csv", "faery"): {prophesee.BACK: _CLAMPED},
    (".csv", "evutils"): {prophesee.BACK: _BACK},
}
