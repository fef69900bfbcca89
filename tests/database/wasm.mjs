// PostgreSQL in WebAssembly, with TimescaleDB's community code, behind libpq's protocol on loopback.
//
// `node wasm.mjs PACKAGE`, PACKAGE being the unpacked npm package, reads a JSON command a line and
// answers each by a line; {"error": "..."} is an answer, too. It ends with its input.
//
//   {"open": "empty"}               -> {"port": 40001}   a new database with the content of that name
//   {"keep": 40001, "as": "name"}   -> {"kept": "name"}  its content, for databases to come
//   {"close": 40001}                -> {"closed": 40001}
//
// A database is one session in memory: connections take turns, each beginning with nothing of the
// one before. COPY FROM STDIN, which the package has not, becomes COPY from its file /dev/blob.

import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { pathToFileURL } from 'node:url'

const PATIENCE_MS = 2000
const PROTOCOL_3 = 3
const COPY_IN = /^(\s*COPY\b.*\bFROM\s+)STDIN\b/is
const EXTENDED = 'PBDEC'
const LEFT = ['ECONNRESET', 'EPIPE']

// The package plans without sequential scans, sends debugging notices and has its own search path.
const SETTINGS =
  'SET search_path = "$user", public; SET enable_seqscan = on; SET client_min_messages = notice'

const dist = join(process.argv[2], 'dist')
const { PGlite } = await import(pathToFileURL(join(dist, 'index.js')))
const { timescaledb } = await import(pathToFileURL(join(dist, 'timescaledb/index.js')))
const options = {
  extensions: { timescaledb },
  wasmModule: await WebAssembly.compile(readFileSync(join(dist, 'pglite.wasm'))),
  fsBundle: new Blob([readFileSync(join(dist, 'pglite.data'))]),
}
const contents = new Map()
const databases = new Map()

async function emptyContent() {
  const first = await PGlite.create(options)
  return close(first, await first.dumpDataDir('none'))
}

async function close(db, result) {
  await db.close()
  globalThis.gc?.() // a database is 300 MB
  return result
}

async function open(name) {
  if (name === 'empty' && !contents.has(name)) contents.set(name, await emptyContent())
  if (!contents.has(name)) throw new Error(`nothing was kept as ${name}`)
  const loadDataDir = contents.get(name)
  const db = await PGlite.create({ ...options, loadDataDir, database: 'postgres' })
  await preload(db)
  new Session(db).clean()
  const database = { db, turn: Promise.resolve() }
  database.server = await listen(database)
  const { port } = database.server.address()
  databases.set(port, database)
  return { port }
}

/** Load the extension's library and the community code, as TimescaleDB's own loader does. */
async function preload(db) {
  const offered = "SELECT default_version FROM pg_available_extensions WHERE name = 'timescaledb'"
  const [{ default_version: version }] = (await db.query(offered)).rows
  await db.exec(`
    CREATE FUNCTION pg_temp.load(text) RETURNS void
    AS '$libdir/timescaledb-${version}', 'ts_post_load_init' LANGUAGE C;
    SELECT pg_temp.load('')`)
}

function listen(database) {
  const server = createServer((socket) => {
    database.turn = serve(database.db, socket.setNoDelay(true), database.turn)
    database.turn.catch((error) => console.error(error)) // every connection to come fails by it
  })
  return new Promise((resolve, reject) => {
    server.on('error', reject)
    server.listen(0, '127.0.0.1', () => resolve(server))
  })
}

function held(port) {
  if (!databases.has(port)) throw new Error(`no database on port ${port}`)
  return databases.get(port)
}

const COMMANDS = {
  open: ({ open: name }) => open(name),
  keep: async ({ keep: port, as: name }) => {
    const { db, turn } = held(port)
    if (!(await isOverInTime(turn))) throw new Error('a connection is open')
    contents.set(name, await db.dumpDataDir('none'))
    return { kept: name }
  },
  close: async ({ close: port }) => {
    const { db, server } = held(port)
    databases.delete(port)
    server.close()
    return close(db, { closed: port })
  },
}

/** Talk to one client, after the one before has gone. */
async function serve(db, socket, before) {
  try {
    const incoming = messages(socket)
    const startup = await introduced(incoming, socket)
    if (!(await hasTurn(before, socket)) || !startup) return
    const session = new Session(db)
    socket.write(session.begin(userOf(startup)))
    for await (const message of incoming) {
      if (message.type === 'X') break
      socket.write(await session.answer(message))
    }
    session.clean()
  } catch (error) {
    socket.end(complaint('FATAL', 'XX000', String(error.stack)))
    throw error
  }
}

/** Return the body of the startup message, or nothing if the client left before. */
async function introduced(incoming, socket) {
  for (;;) {
    const { done, value } = await incoming.next()
    if (done) return undefined
    if (value.isStartup) return value.body
    socket.write('N') // neither TLS nor GSS
  }
}

/** Return the user a client connects as: the first parameter libpq sends. */
function userOf(startup) {
  const words = startup.toString('utf8', 4).split('\0')
  return words[words.indexOf('user') + 1]
}

async function hasTurn(before, socket) {
  if (await isOverInTime(before)) return true
  const text = 'this database takes one connection at a time, and another one is open'
  socket.end(complaint('FATAL', '53300', text))
  await before
  return false
}

function isOverInTime(before) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => resolve(false), PATIENCE_MS)
    before.then(() => resolve(true), reject).finally(() => clearTimeout(timer))
  })
}

/** Yield a client's messages; those up to the startup message have no type. */
async function* messages(socket) {
  let pending = Buffer.alloc(0)
  let start = 0
  for await (const chunk of received(socket)) {
    pending = Buffer.concat([pending, chunk])
    for (let size; (size = sizeOf(pending, start)) <= pending.length; ) {
      const bytes = pending.subarray(0, size)
      const body = bytes.subarray(start + 4)
      const isStartup = start === 0 && body.readUInt16BE(0) === PROTOCOL_3
      yield { bytes, body, isStartup, type: start ? String.fromCharCode(bytes[0]) : '' }
      pending = pending.subarray(size)
      if (isStartup) start = 1
    }
  }
}

async function* received(socket) {
  try {
    yield* socket
  } catch (error) {
    if (!LEFT.includes(error.code)) throw error // a client that was killed has left, too
  }
}

function sizeOf(pending, start) {
  return pending.length < start + 4 ? Infinity : start + pending.readUInt32BE(start)
}

class Session {
  constructor(db) {
    this.db = db
    this.copy = null
    this.isSkipping = false
  }

  async answer({ type, body, bytes }) {
    if (this.copy) return this.copied(type, body)
    if (type === 'S') this.isSkipping = false
    if (this.isSkipping) return ''
    if (type === 'Q' && COPY_IN.test(textOf(body))) return this.beginCopy(textOf(body))
    const answer = this.raw(bytes)
    // After an error nothing counts up to the next Sync.
    this.isSkipping = EXTENDED.includes(type) && typesOf(answer).includes('E')
    return answer
  }

  beginCopy(sql) {
    this.copy = { sql, parts: [] }
    const format = /\bbinary\b/i.test(sql) ? 1 : 0
    return framed('G', Buffer.from([format, 0, 0]))
  }

  async copied(type, body) {
    const { sql, parts } = this.copy
    if (type === 'd') parts.push(Buffer.from(body))
    if (type !== 'c' && type !== 'f') return ''
    this.copy = null
    if (type === 'f') return this.query(raising(`COPY from stdin failed: ${textOf(body)}`))
    await this.db._handleBlob(new Blob(parts))
    return this.query(sql.replace(COPY_IN, "$1'/dev/blob'"))
  }

  query(sql) {
    return this.raw(framed('Q', Buffer.from(`${sql}\0`)))
  }

  raw(bytes) {
    return Buffer.from(this.db.execProtocolRawSync(bytes))
  }

  /** Become a user, whose password nobody asks for, and return what greets the client. */
  begin(user) {
    const answer = this.query(`SET SESSION AUTHORIZATION "${user}"`)
    return typesOf(answer).includes('E') ? answer : welcome()
  }

  /** Leave nothing to the next connection: no transaction, lock, setting or temporary table. */
  clean() {
    for (const sql of ['ROLLBACK', 'DISCARD ALL', SETTINGS]) {
      const answer = this.query(sql)
      if (typesOf(answer).includes('E')) throw new Error(`${sql} failed: ${answer}`)
    }
  }
}

function raising(text) {
  return `DO $raise$ BEGIN RAISE EXCEPTION USING ERRCODE = '57014', MESSAGE = $text$${text}$text$; END $raise$`
}

function textOf(body) {
  return body.toString('utf8', 0, body.length - 1)
}

function typesOf(answer) {
  let types = ''
  for (let at = 0; at < answer.length; at += sizeOf(answer.subarray(at), 1)) {
    types += String.fromCharCode(answer[at])
  }
  return types
}

function framed(type, body) {
  const head = Buffer.alloc(5)
  head.write(type)
  head.writeUInt32BE(body.length + 4, 1)
  return Buffer.concat([head, body])
}

function complaint(severity, code, text) {
  const fields = { S: severity, V: severity, C: code, M: text }
  const body = Object.entries(fields).map(([field, value]) => `${field}${value}\0`)
  return framed('E', Buffer.from(`${body.join('')}\0`))
}

function welcome() {
  const parameters = {
    server_version: '17.5',
    server_encoding: 'UTF8',
    client_encoding: 'UTF8',
    integer_datetimes: 'on',
    standard_conforming_strings: 'on',
  }
  return Buffer.concat([
    framed('R', Buffer.alloc(4)), // no password
    ...Object.entries(parameters).map((pair) => framed('S', Buffer.from(`${pair.join('\0')}\0`))),
    framed('K', Buffer.alloc(8)), // a key nothing can be cancelled with
    framed('Z', Buffer.from('I')),
  ])
}

async function answered(line) {
  try {
    const command = JSON.parse(line)
    return await COMMANDS[Object.keys(command)[0]](command)
  } catch (error) {
    return { error: String(error.stack) }
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(await answered(line))}\n`)
}
process.exit()
