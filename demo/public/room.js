// The room: messages, and who is here.
import { byId, count, clock, element, keep } from './dom.js'

const mostLines = 200

export function createRoomView(socket) {
  let you = {}
  const shown = new Set()

  byId('chat-form').addEventListener('submit', (event) => {
    event.preventDefault()
    // The text and nothing else: who says it is not for a page to claim.
    socket.send(byId('text').value)
    byId('chat-form').reset()
  })

  /* Names and texts are written in either direction, whatever that of the page: hence `dir` and `bdi`. */
  function line({ at, user, text, node, session, socket: name }) {
    const own = session === you.session
    const whose = own ? `${session} (yours, ${name === you.socket ? 'this tab' : 'another tab'})` : session
    return element(
      'li',
      { className: own ? 'own' : '' },
      element('span', { className: 'avatar', ariaHidden: 'true' }, initialOf(user)),
      element(
        'div',
        {},
        element(
          'p',
          { className: 'by' },
          element('strong', { dir: 'auto' }, user),
          ' ',
          element('time', {}, clock(at)),
        ),
        element('p', { className: 'text', dir: 'auto' }, text),
        element('p', { className: 'from' }, `${node} read "`, element('bdi', {}, user), `" from session ${whose}`),
      ),
    )
  }

  return {
    focus: () => byId('text').focus(),

    setYou(session, name, node) {
      you = { session, socket: name, node }
    },

    enable(isOpen) {
      byId('send').disabled = !isOpen
    },

    said(lines) {
      const log = byId('log')
      for (const said of lines) {
        // What was said last is told again after every reconnect.
        if (shown.has(said.id)) continue
        shown.add(said.id)
        log.append(line(said))
      }
      while (log.children.length > mostLines) log.firstChild.remove()
      byId('log-empty').hidden = log.children.length > 0
      byId('log-scroll').scrollTop = log.scrollHeight
    },

    people(people, nodes) {
      const others = nodes.filter(({ node }) => node !== you.node)
      byId('nodes-hint').hidden = others.length === 0
      byId('node-links').replaceChildren(
        ...others.map(({ node, url }) => {
          // Cookies belong to a host, and all its ports share them. So the host stays as the visitor wrote it.
          const { href } = Object.assign(new URL(url), { hostname: location.hostname })
          return element('a', { href, target: '_blank', rel: 'noopener' }, node)
        }),
      )
      keep(byId('people'), people, {
        key: ({ session }) => session,
        make: () => element('li'),
        fill(item, { session, user, role, note, tabs, nodes }) {
          item.replaceChildren(
            element('span', { className: 'avatar', ariaHidden: 'true' }, initialOf(user)),
            element(
              'div',
              {},
              element(
                'p',
                {},
                element('strong', { dir: 'auto' }, user),
                session === you.session ? ' (you)' : '',
                ...(role === 'admin' ? [' ', element('span', { className: 'tag' }, 'admin')] : []),
              ),
              ...(note ? [element('p', { className: 'note', dir: 'auto' }, note)] : []),
              element('p', { className: 'from' }, `${count(tabs, 'tab')} on ${nodes.join(' and ')}`),
            ),
          )
        },
      })
    },

    /* Without a socket, the page does not know who is here. */
    closed() {
      byId('people').replaceChildren()
    },

    clear() {
      shown.clear()
      byId('log').replaceChildren()
      byId('people').replaceChildren()
      byId('log-empty').hidden = false
    },
  }
}

function initialOf(user) {
  return [...user][0]?.toUpperCase() ?? '?'
}
