// The burglar. In: a button. Out: what the server got when it knocked at its own door, as it came.
import { byId, button, element } from './dom.js'
import { call } from './http.js'

const attempts = [
  ['own', 'Your own cookie', 'For comparison: this one opens.', 'Try it'],
  ['no-cookie', 'No cookie', 'Somebody who has never logged in.', 'Try no cookie'],
  [
    'forged',
    'Forged cookies',
    'Another signature, none at all, and an ID that no session has. The usual middleware makes a fresh session of each.',
    'Try forged cookies',
  ],
  [
    'expired',
    'An expired session',
    'Its signature is good. Its session was, too, until a second ago.',
    'Try an expired one',
  ],
  [
    'other-origin',
    'Another origin',
    'A page on another port sends your cookie along: for browsers it is the same site.',
    'Try another origin',
  ],
  [
    'flood',
    'A flood',
    '200 handshakes at once, all with one good cookie. A session may have 20 sockets.',
    'Send a flood',
  ],
]

export function createBurglarView(otherUrl) {
  byId('attempts').replaceChildren(...attempts.map((attempt) => card(attempt, otherUrl)))
}

function card([kind, title, what, label], otherUrl) {
  const results = element('div', { className: 'results', role: 'status' })
  const start = button(
    label,
    async () => {
      start.ariaBusy = 'true'
      results.replaceChildren(element('p', { className: 'hint' }, 'Knocking…'))
      const shown = await call('POST', `/attempts/${kind}`).then(resultsOf, ({ message }) => [
        element('p', {}, message),
      ])
      results.replaceChildren(...shown)
      start.ariaBusy = null
    },
    'outline',
  )
  const link = element('a', { href: otherUrl, target: '_blank', rel: 'noopener' }, 'Open that page in a browser tab')
  return element(
    'li',
    {},
    element(
      'article',
      { dataset: { kind } },
      element('h3', {}, title),
      element('p', {}, what),
      element('div', { className: 'row wrap' }, start, ...(kind === 'other-origin' ? [link] : [])),
      results,
    ),
  )
}

function resultsOf({ answers, flood, error }) {
  if (error) return [element('p', {}, error)]
  return answers ? answers.map(answerItem) : flood.map(countItem)
}

function answerItem({ what, status, reason, tookMs, sent, received }) {
  return element(
    'div',
    { className: 'answer' },
    element('p', {}, what),
    element('p', { className: 'verdict' }, badge(status), ' ', ...whyItems(reason), ` after ${tookMs} ms`),
    element('details', {}, element('summary', {}, 'As it came'), wire('Sent', sent), wire('Received', received)),
  )
}

function countItem({ status, reason, count }) {
  return element(
    'p',
    { className: 'verdict' },
    element('strong', {}, `${count} ×`),
    ' ',
    badge(status),
    ' ',
    ...whyItems(reason),
  )
}

function whyItems(reason) {
  return reason ? ['the server knows: ', element('code', {}, reason)] : []
}

function badge(status) {
  const words = status === 101 ? '101 let in' : status === 0 ? 'no answer' : `${status} refused`
  return element('strong', { className: 'badge', dataset: { state: status === 101 ? 'open' : 'out' } }, words)
}

function wire(title, text) {
  const lines = element('pre', { tabIndex: 0 }, element('code', {}, text))
  lines.setAttribute('aria-label', title)
  return element('div', {}, element('p', { className: 'from' }, title), lines)
}
