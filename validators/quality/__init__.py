"""What is odd about held data: holes, impossible or doubtful candles, outliers, silences.

Pure functions on the frame of **one instrument**; each returns a frame of findings, of the same
columns when there are none. `status` tells what a finding means:

* `unexplained`  something is wrong until somebody explains it; sets the exit code
* `documented`   a reviewed incident of the exchange explains it, named in `source`
* `review`       it happens in good data too; worth a look
"""

from validators.quality.fillers import find_fillers
from validators.quality.gaps import explain_holes, find_gaps
from validators.quality.outliers import find_outliers
from validators.quality.sanity import find_faults

__all__ = ["explain_holes", "find_faults", "find_fillers", "find_gaps", "find_outliers"]
