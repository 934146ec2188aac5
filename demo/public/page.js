// Which view is shown, and what the steps of the socket mean for all of them.
import { createAttackPanel } from './attack-panel.js'
import { byId, element, setText } from './dom.js'
import { call } from './http.js'
import { LiveSocket } from './live-socket.js'
import { createMonitorView } from './monitor.js'
import { createRoomView } from './room.js'
import { createSessionView } from './session.js'

const views = ['room', 'session', 'attacks', 'monitor']

let isInside = false
let role
let ending
let loggingOut = false
const ownLogout = 'You logged out in this tab, so the server closed all sockets of the session, in other tabs too.'

const socket = new LiveSocket('/room', { onMessage: (message) => handlers[message.type](message), onStep })
const room = createRoomView(socket)
const session = createSessionView()
const monitor = createMonitorView()

start()

async function start() {
  try {
    const { node, otherUrl } = await call('GET', '/where')
    setText(byId('node'), node)
    byId('node').hidden = false
    const other = Object.assign(new URL(otherUrl), { hostname: location.hostname })
    createAttackPanel(other.href)
    const { user } = await call('GET', '/me')
    if (user === null) showLogin()
    else socket.open()
  } catch (error) {
    showStatus('out', `The server does not answer: ${error.message}`)
    setTimeout(start, 2_000)
  }
}

/* One for each type of message from the room's socket. */
const handlers = {
  session(message) {
    const { session: hash, socket: name, snapshot, node } = message
    role = snapshot.role
    room.setYou(hash, name, node)
    session.show(message)
    showStatus('open', `Connected to ${node} as ${snapshot.user}`)
    byId('to-monitor').hidden = role !== 'admin'
    if (isInside) return showMonitor()
    isInside = true
    byId('login').hidden = true
    for (const id of ['views', 'left', 'logout']) byId(id).hidden = false
    showView()
    if (currentView() === 'room') room.focus()
  },
  expiry: (message) => session.expiry(message),
  people: ({ people, nodes }) => room.people(people, nodes),
  said: ({ said }) => room.said(said),
}

function onStep({ step, ms, attempt, ending: how }) {
  const isOpen = step === 'open'
  room.enable(isOpen)
  byId('connect').hidden = isOpen || step === 'connecting'
  byId('cut').disabled = !isOpen
  if (step === 'connecting') showStatus('wait', 'Connecting…')
  if (step === 'open') session.note('Open.', 'open')
  if (step === 'ended') showEnding(how)
  if (step === 'waiting') {
    const pause = `${(ms / 1000).toFixed(1)} s`
    session.note(`Attempt ${attempt} in ${pause}.`, 'wait')
    showStatus('wait', `No connection. Trying again in ${pause} (attempt ${attempt}).`)
  }
  if (step === 'logged-out') showLogin()
}

function showEnding(how) {
  session.note(`Closed: ${how.name}. ${how.what}`, 'out')
  room.closed()
  if (how.code === 4401) {
    ending = loggingOut ? { ...how, what: ownLogout } : how
    loggingOut = false
    showLogin()
  } else showStatus('out', `${how.name}: ${how.what}`)
}

/** Another tab may have logged in meanwhile: the old session is gone by that, and a new one is in the cookie. */
async function showLogin() {
  isInside = false
  socket.close()
  monitor.close()
  room.clear()
  session.clear()
  showStatus('out', 'You are not logged in, so there is no socket.')
  for (const id of ['views', 'left', 'logout', 'connect', ...views]) byId(id).hidden = true
  byId('login').hidden = false
  byId('ended').hidden = ending === undefined
  if (ending) {
    byId('ended').replaceChildren(
      element('strong', {}, `Socket closed: ${ending.name}`),
      element('p', {}, `${ending.what} The page does not reconnect, because a client without a session is refused.`),
    )
  }
  byId('elsewhere').hidden = true
  byId('name').focus()
  if (ending === undefined) return
  const { user } = await call('GET', '/me').catch(() => ({ user: null }))
  byId('elsewhere').hidden = user === null || isInside
  setText(byId('elsewhere-name'), user ?? '')
}

function enter() {
  ending = undefined
  socket.open()
}

byId('login-form').addEventListener('submit', async (event) => {
  event.preventDefault()
  try {
    await call('POST', '/login', Object.fromEntries(new FormData(event.target)))
    event.target.reset()
    enter()
  } catch (error) {
    showStatus('out', error.message)
  }
})

byId('join').addEventListener('click', enter)
byId('connect').addEventListener('click', () => socket.open())

// The bridge closes the sockets of all tabs, and each shows how.
byId('logout').addEventListener('click', async () => {
  loggingOut = true
  try {
    await call('POST', '/logout')
    // Where there was no socket, none can tell.
    if (isInside && !socket.isThere) showLogin()
  } catch (error) {
    loggingOut = false
    showStatus('out', error.message)
  }
})

window.addEventListener('hashchange', () => {
  if (!isInside) return
  showView()
  byId(`${currentView()}-title`).focus()
})

function currentView() {
  const view = location.hash.slice('#/'.length)
  return views.includes(view) ? view : 'room'
}

function showView() {
  const current = currentView()
  for (const view of views) byId(view).hidden = view !== current
  for (const link of byId('views').querySelectorAll('a')) {
    if (link.hash === `#/${current}`) link.setAttribute('aria-current', 'page')
    else link.removeAttribute('aria-current')
  }
  document.title = `${byId(`${current}-title`).textContent} · ws-session-bridge`
  showMonitor()
}

let isMonitoring = false

/* Its socket is open while a user who may looks at it. When the role is lost, the server closes it, not the page. */
function showMonitor() {
  const isShown = isInside && currentView() === 'monitor'
  if (isShown && role === 'admin' && !isMonitoring) {
    isMonitoring = true
    monitor.open()
  } else if (!isShown && isMonitoring) {
    isMonitoring = false
    monitor.close()
  } else if (role !== 'admin') {
    if (isShown && !isMonitoring) setText(byId('monitor-status'), 'Only admins may open the monitor.')
    isMonitoring = false
  }
}

function showStatus(state, text) {
  byId('status').dataset.state = state
  setText(byId('status'), text)
}
