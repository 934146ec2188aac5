// The attack panel: what the server answers to upgrades that must be refused.
import { byId, button, element } from './dom.js'
import { call } from './http.js'

const attempts = [
  ['own', 'Your own cookie', 'For comparison: this upgrade is accepted.', 'Try it'],
  ['no-cookie', 'No cookie', 'A client that has never logged in.', 'Try no cookie'],
  [
    'forged',
    'Forged cookies',
    'Another signature, none at all, and an ID that no session has. The usual middleware makes a fresh session of each.',
    'Try forged cookies',
  ],
  [
    'expired',
    'An expired session',
    'The signature is valid, but the session expired a second ago. The store no longer has it, so the reason is no-session.',
    'Try an expired one',
  ],
  [
    'other-origin',
    'Another origin',
    'A page on another port sends your cookie along, because browsers count it as the same site.',
    'Try another origin',
  ],
  [
    'flood',
    'A flood',
    '200 handshakes at once, all with one good cookie. A session may have 20 sockets.',
    'Send a flood',
  ],
]

export function createAttackPanel(otherUrl) {
  byId('attack-list').replaceChildren(...attempts.map((attempt) => card(attempt, otherUrl)))
}

function card([kind, title, what, label], otherUrl) {
  const results = element('div', { className: 'results', role: 'status' })
  const start = button(
    label,
    async () => {
      start.ariaBusy = 'true'
      results.replaceChildren(element('p', { className: 'hint' }, 'Sending…'))
      const shown = await call('POST', `/attacks/${kind}`).then(resultsOf, ({ message }) => [element('p', {}, message)])
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
    element('details', {}, element('summary', {}, 'Raw response'), wire('Sent', sent), wire('Received', received)),
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
  return reason ? ['reason: ', element('code', {}, reason)] : []
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
