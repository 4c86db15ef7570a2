// Guests and therapists on the official Socket.IO client, driven by JSON lines: one line in is one thing to do, one line
// out is one thing that happened. A link reconnects by itself, with its own cursors, the way the client does it for a page.

const { createInterface } = require('node:readline')
const { io } = require('socket.io-client')

const links = new Map()

const tell = (link, event, more) => process.stdout.write(`${JSON.stringify({ link, event, ...more })}\n`)

function open({ link, url, namespace, auth }) {
  const cursors = typeof auth.since === 'object' && auth.since !== null ? { ...auth.since } : null
  let since = auth.since
  const shows = { token: auth.token, shown: null }
  const socket = io(url + namespace, {
    transports: ['websocket'],
    forceNew: true,
    reconnectionAttempts: 4,
    reconnectionDelay: 200,
    reconnectionDelayMax: 1000,
    timeout: 4000,
    auth: (answer) => {
      shows.shown = shows.token ?? null
      answer({ ...auth, token: shows.token, since: cursors ? { ...cursors } : since })
    },
  })
  const remember = ({ feed, seq }) => {
    if (cursors) cursors[feed] = seq
    else since = seq
  }
  socket.on('session', (session) => {
    if (cursors) Object.assign(cursors, session.feeds)
    else since = session.last_seq
    tell(link, 'session', { session, shown: shows.shown })
  })
  socket.on('entry', (entry) => {
    remember(entry)
    tell(link, 'entry', { entry })
  })
  socket.on('connect_error', (error) => {
    if (socket.active) return
    tell(link, 'over', { why: error.message, data: error.data })
  })
  socket.on('disconnect', (why) => {
    tell(link, socket.active ? 'away' : 'over', { why })
  })
  socket.io.on('reconnect_failed', () => tell(link, 'over', { why: 'it did not come back' }))
  links.set(link, { socket, shows })
}

async function send({ link, call, name, payload, timeout_ms }) {
  try {
    const answer = await links.get(link).socket.timeout(timeout_ms).emitWithAck(name, payload)
    tell(link, 'answer', { call, answer })
  } catch {
    tell(link, 'answer', { call, answer: null })
  }
}

function close({ link }) {
  links.get(link)?.socket.disconnect()
  links.delete(link)
}

function renew({ link, token }) {
  const known = links.get(link)
  if (known) known.shows.token = token
}

const deeds = { open, send, close, renew }

createInterface({ input: process.stdin })
  .on('line', (line) => {
    const message = JSON.parse(line)
    deeds[message.do](message)
  })
  .on('close', () => process.exit(0))
