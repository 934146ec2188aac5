// Your session: what the socket's handler reads, how long it lasts, and edits over HTTP.
import { announce, byId, clock, duration, element, setText } from './dom.js'
import { call, sinceLastAnswer } from './http.js'

const mostEvents = 50
const warnBelowMs = 30_000

export function createSessionView() {
  let name
  let shown
  let endsAt = 0
  let maxAgeMs = 1
  let warned = false

  byId('edit-form').addEventListener('submit', async (event) => {
    event.preventDefault()
    try {
      await call('POST', '/session', Object.fromEntries(new FormData(event.target)))
      // The new values are not shown from here: they come back over the sockets, this tab's and the others'.
      setText(byId('edit-result'), 'Saved over HTTP. The new values came back over the socket.')
    } catch (error) {
      setText(byId('edit-result'), error.message)
    }
  })

  byId('cut').addEventListener('click', () => call('POST', '/cut', { socket: name }).catch(() => undefined))

  function note(text, state = '') {
    const list = byId('events')
    list.append(element('li', { dataset: { state } }, element('time', {}, clock(Date.now())), ' ', text))
    while (list.children.length > mostEvents) list.firstChild.remove()
    byId('events-scroll').scrollTop = list.scrollHeight
  }

  function tick() {
    const leftMs = endsAt - performance.now()
    for (const bar of ['left-bar', 'left-wide']) byId(bar).value = Math.max(0, Math.min(1, leftMs / maxAgeMs))
    byId('left').classList.toggle('low', leftMs < warnBelowMs)
    setText(byId('left-text'), duration(leftMs))
    setText(byId('left-big'), duration(leftMs))
    if (leftMs < warnBelowMs && !warned && !byId('left').hidden) announce('Your session expires in 30 seconds.')
    warned = leftMs < warnBelowMs
  }
  setInterval(tick, 500)

  return {
    note,

    show({ session, socket, snapshot }) {
      name = socket
      setText(byId('hash'), session)
      const lines = JSON.stringify(snapshot, null, 2)
      // A moved expiry is no change of the session, and a reconnect moves it.
      const data = JSON.stringify({ ...snapshot, cookie: undefined })
      if (shown !== undefined && shown !== data) note('The session changed.', 'changed')
      shown = data
      setText(byId('snapshot'), lines)
      // What is being typed is not overwritten.
      if (byId('edit-form').contains(document.activeElement)) return
      byId('new-name').value = snapshot.user
      byId('new-role').value = snapshot.role
      byId('new-note').value = snapshot.note ?? ''
    },

    expiry({ leftMs, maxAgeMs: longest }) {
      const wasRefilled = performance.now() + leftMs > endsAt + 1_000 && endsAt > performance.now()
      endsAt = performance.now() + leftMs
      maxAgeMs = longest
      setText(byId('touch-every'), duration(Math.min(60_000, maxAgeMs / 4)))
      tick()
      if (wasRefilled) note('Time refilled.', 'changed')
      // Messages keep the session alive, but the browser's cookie has an expiry of its own, which only an HTTP answer moves.
      if (sinceLastAnswer() > maxAgeMs / 4) void call('GET', '/me').catch(() => undefined)
    },

    clear() {
      endsAt = 0
      shown = undefined
      setText(byId('snapshot'), '')
      byId('events').replaceChildren()
      setText(byId('edit-result'), '')
    },
  }
}
