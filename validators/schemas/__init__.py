"""What each dataset promises, a file a dataset: columns, types, units, key, table and rules.

Every rule judges a row by that row alone, so that `contract.split` can tell the good rows from
the bad ones. What needs the neighbours (key, order) is asked of a whole frame by
`contract.check`; what is odd but real (cost/volume off the bar, gaps) by `quality`.
"""
