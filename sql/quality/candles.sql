-- What outliers and silences are judged by, of instrument $1.
SELECT timestamp, high, low, close, volume
FROM {table}
WHERE instrument = $1
ORDER BY timestamp
