-- Rows the lake has no longer, or has with other values; the scope is as narrow as they allow.
DELETE FROM {table} AS held
USING pg_temp.differing
WHERE {scope} AND {same} AND differing.is_held
