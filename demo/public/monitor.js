// The monitor: what the nodes report, and admin commands. Its socket needs the admin role.
import { Chart } from './chart.js'
import { button, byId, clock, count, duration, element, keep, setText } from './dom.js'
import { LiveSocket } from './live-socket.js'

const mostSamples = 60
const mostRefusals = 25
const refusalColumns = ['When', 'Status', 'Reason', 'Times', 'Path', 'Origin', 'Node']
/** A node that has said nothing for so long may be gone, or cut off from Redis. */
const silentAfterMs = 3_000

/** While Redis is stopped, the other nodes cannot report. */
let isStopped = false

export function createMonitorView() {
  let samples = []
  const charts = {
    accepted: new Chart('let in'),
    refused: new Chart('refused'),
    ended: new Chart('ended'),
    pending: new Chart('pending now'),
  }
  byId('charts').replaceChildren(...Object.values(charts).map(({ figure }) => figure))

  const socket = new LiveSocket('/monitor', {
    onMessage: (message) => handlers[message.type](message),
    onStep({ step, ms, ending }) {
      if (step === 'ended') showClosed(ending)
      if (step === 'waiting') setText(byId('monitor-status'), `No connection. Trying again in ${duration(ms)}.`)
    },
  })
  const command = (action, target, id = '') => socket.send(JSON.stringify({ action, target, id }))

  byId('kick-others').addEventListener('click', () => command('kick', 'others'))
  byId('sign-out-others').addEventListener('click', () => command('sign-out', 'others'))
  byId('stop-redis').addEventListener('click', () => {
    byId('stop-redis').disabled = true
    isStopped = true
    byId('probes').replaceChildren()
    setText(byId('outage-result'), 'Redis is stopped. The server sends itself an upgrade twice a second.')
    socket.send(JSON.stringify({ action: 'stop-redis' }))
  })

  const handlers = {
    state({ you, nodes, samples: newer, canStopRedis, everywhere }) {
      samples = [...samples, ...newer].slice(-mostSamples)
      byId('monitor-inside').hidden = false
      byId('monitor-closed').hidden = true
      byId('outage').hidden = !canStopRedis
      setText(byId('monitor-status'), everywhereText(everywhere))
      showNodes(nodes)
      showCharts(charts, samples, nodes)
      showSessions(nodes, you, command)
      showRefusals(nodes)
    },
    notice({ text }) {
      setText(byId('monitor-status'), text)
    },
    outage({ probes, over }) {
      showProbes(probes, over)
      byId('stop-redis').disabled = !over
      isStopped = !over
    },
  }

  return {
    open: () => socket.open(),
    close() {
      socket.close()
      samples = []
      byId('monitor-inside').hidden = true
      byId('monitor-closed').hidden = true
      setText(byId('monitor-status'), 'Connecting…')
    },
  }
}

function showClosed({ code, name, what }) {
  // What was shown is not for those who have lost the role.
  byId('monitor-inside').hidden = true
  for (const id of ['nodes', 'sessions', 'refusals']) byId(id).replaceChildren()
  const why =
    code === 4403
      ? ' You have lost the admin role. The server asked `authorize` again as soon as the session changed, and closed only this socket; the room is still open.'
      : ''
  byId('monitor-closed').hidden = false
  byId('monitor-closed').replaceChildren(
    element('strong', {}, `The server closed the monitor's socket: ${name}`),
    element('p', {}, `${what}${why}`),
  )
  setText(byId('monitor-status'), '')
}

function everywhereText(everywhere) {
  const source = 'Everything here comes from stats(), connections() and the events of each bridge.'
  if (!everywhere) return source
  const { connections, users, nodes, complete } = everywhere
  const found = `${count(connections, 'connection')} of ${count(users, 'user')} on ${count(nodes, 'node')}`
  return `${source} everywhere.connections() has found ${found}${complete ? '' : ', but a node did not answer'}.`
}

function showNodes(nodes) {
  keep(byId('nodes'), nodes, {
    key: ({ node }) => node,
    make: () => element('li', {}, element('strong'), element('a'), element('span'), element('small')),
    fill(item, { node, url, stats, ageMs }) {
      const [name, link, now, ever] = item.children
      const isSilent = ageMs > silentAfterMs
      item.dataset.state = isSilent ? 'wait' : 'open'
      setText(name, node)
      // Cookies belong to a host, and all its ports share them. So the host stays as the visitor wrote it.
      link.href = Object.assign(new URL(url), { hostname: location.hostname, hash: '/room' }).href
      setText(link, new URL(url).host)
      const silence = isStopped ? 'cannot report while Redis is stopped' : `no report for ${duration(ageMs)}`
      setText(now, isSilent ? silence : `${count(stats.sockets, 'socket')}, ${count(stats.sessions, 'session')}`)
      setText(ever, `${stats.accepted} let in since the start, ${count(stats.faults, 'fault')}`)
    },
  })
}

function showCharts(charts, samples, nodes) {
  charts.accepted.draw(samples.map(({ accepted }) => (accepted > 0 ? { handshakes: accepted } : {})))
  charts.refused.draw(samples.map(({ refused }) => refused))
  charts.ended.draw(samples.map(({ ended }) => ended))
  const pending = nodes.reduce((sum, { stats }) => sum + stats.pending, 0)
  charts.pending.draw(
    samples.map(({ pending: number }) => (number > 0 ? { handshakes: number } : {})),
    pending,
  )
}

function showSessions(nodes, you, command) {
  const sessions = new Map()
  for (const { node, sockets } of nodes) {
    for (const socket of sockets) {
      const { session, data, leftMs } = socket
      const known = sessions.get(session) ?? { session, data, leftMs, sockets: [] }
      known.leftMs = Math.max(known.leftMs, leftMs)
      known.sockets.push({ ...socket, node })
      sessions.set(session, known)
    }
  }
  keep(byId('sessions'), [...sessions.values()], {
    key: ({ session }) => session,
    make: (session) => sessionCard(session, command),
    fill: (card, session) => fillSession(card, session, you, command),
  })
}

function sessionCard({ session }, command) {
  const user = () => byId('sessions').querySelector(`[data-key="${session}"]`).dataset.user
  const who = element('h4', {}, element('bdi'), element('span'))
  who.id = `session-${session}`
  const actions = element(
    'div',
    { className: 'row wrap actions' },
    element('span', {}, 'This session:'),
    named(
      button('Kick', () => command('kick', 'session', session)),
      `Kick session ${session}`,
    ),
    named(
      button('Sign out', () => command('sign-out', 'session', session)),
      `Sign out session ${session}`,
    ),
    button('Remove admin role', () => command('demote', 'session', session), 'small outline demote'),
    element('span', {}, 'All of this user:'),
    named(
      button('Kick', () => command('kick', 'user', user())),
      `Kick the user of session ${session}`,
    ),
    named(
      button('Sign out', () => command('sign-out', 'user', user())),
      `Sign out the user of session ${session}`,
    ),
    named(
      button('Ban', () => command('ban', 'user', user())),
      `Ban the user of session ${session}`,
    ),
  )
  return element(
    'li',
    {},
    element(
      'article',
      {},
      element('div', { className: 'head' }, who, element('span', { className: 'number left-of' })),
      element('dl', { className: 'data' }),
      element('ul', { className: 'sockets' }),
      actions,
    ),
  )
}

/* Many buttons say the same; what they are for is seen from where they stand, by those who see it. */
function named(target, name) {
  target.ariaLabel = name
  return target
}

function fillSession(card, { session, data, leftMs, sockets }, you, command) {
  card.dataset.user = data.user ?? ''
  const [who, left] = card.querySelector('.head').children
  setText(who.firstChild, String(data.user))
  setText(who.lastChild, `${session === you ? ' (you)' : ''} · ${session}`)
  setText(left, `${duration(leftMs)} left`)
  keep(card.querySelector('.data'), Object.entries(data), {
    key: ([field]) => field,
    make: ([field]) => element('div', {}, element('dt', {}, field), element('dd', { dir: 'auto' })),
    fill: (item, [field, value]) =>
      setText(item.lastChild, field === 'loggedInAt' ? clock(value) : JSON.stringify(value)),
  })
  card.querySelector('.demote').hidden = data.role !== 'admin'
  keep(card.querySelector('.sockets'), sockets, {
    key: ({ id }) => id,
    make: ({ id, node, path, since, address }) =>
      element(
        'li',
        {},
        element('span', {}, `${path} on ${node}, since ${clock(since)}, from ${address}`),
        Object.assign(
          button('Kick', () => command('kick', 'socket', id)),
          { ariaLabel: `Kick socket ${id}, ${path} on ${node}` },
        ),
      ),
  })
}

function showRefusals(nodes) {
  const refusals = nodes
    .flatMap(({ node, refusals: ofNode }) => ofNode.map((refusal) => ({ ...refusal, node })))
    .sort((one, other) => other.at - one.at)
    .slice(0, mostRefusals)
  byId('refusals-empty').hidden = refusals.length > 0
  keep(byId('refusals'), refusals, {
    key: ({ id }) => id,
    // On a phone each cell is a line of its own, and its name stands before it.
    make: () => element('tr', {}, ...refusalColumns.map((name) => element('td', { dataset: { name } }))),
    fill(row, { at, times, status, reason, path, origin, node }) {
      const cells = [clock(at), String(status), reason, String(times), path, origin || 'none', node]
      cells.forEach((text, column) => setText(row.children[column], text))
    },
  })
}

function showProbes(probes, over) {
  keep(byId('probes'), probes, {
    key: ({ afterMs }) => afterMs,
    make({ afterMs, status, reason, tookMs }) {
      const state = status === 101 ? 'open' : 'out'
      const title = `${reason ?? 'let in'}, answered after ${tookMs} ms`
      return element(
        'li',
        { dataset: { state }, title },
        element('strong', {}, String(status)),
        ` ${(afterMs / 1000).toFixed(1)} s`,
      )
    },
  })
  if (!over) return
  const refused = probes.filter(({ status }) => status !== 101)
  const statuses = [...new Set(refused.map(({ status, reason }) => `${status} ${reason ?? ''}`))].join(', ')
  const last = Math.max(...refused.map(({ afterMs, tookMs }) => afterMs + tookMs))
  const text = refused.length
    ? `${count(refused.length, 'handshake')} refused (${statuses}). Handshakes succeeded again after ${(last / 1000).toFixed(1)} s. This socket stayed open.`
    : 'No handshake was refused.'
  setText(byId('outage-result'), text)
}
