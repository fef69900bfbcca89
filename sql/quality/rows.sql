-- Rows of every instrument a table holds.
SELECT instrument, count(*) AS rows
FROM {table}
GROUP BY instrument
ORDER BY instrument
