"""What is odd about held data: holes, impossible or doubtful candles, outliers, silences.

Pure functions on the frame of **one instrument**; each returns a frame of findings, of the same
columns when there are none. A history too long for one frame is given in pieces to the class of
the same check (`pieces.run`), with the same findings wherever it is cut. `status` tells what a
finding means:

* `unexplained`  something is wrong until somebody explains it; sets the exit code
* `documented`   a reviewed incident of the exchange explains it, named in `source`
* `review`       it happens in good data too; worth a look
"""

from validators.quality.fillers import Fillers, find_fillers
from validators.quality.gaps import Gaps, explain_holes, find_gaps
from validators.quality.outliers import Outliers, find_outliers
from validators.quality.sanity import Faults, Repeats, find_faults, merged

__all__ = [
    "Faults",
    "Fillers",
    "Gaps",
    "Outliers",
    "Repeats",
    "explain_holes",
    "find_faults",
    "find_fillers",
    "find_gaps",
    "find_outliers",
    "merged",
]
