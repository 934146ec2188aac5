// One chart: a bar for each second, a color for each reason. Its legend says the same in words.
import { element, keep, setText } from './dom.js'

const svgNames = 'http://www.w3.org/2000/svg'
const seconds = 60
const height = 40
/** Two bars of one are not as high as the whole chart. */
const lowestTop = 4
/** One beside two hundred is still seen. */
const shortest = 1
/** The same color for a reason in every tab and at every time. Green is for what was let in. */
const colors = {
  handshakes: 'green',
  'no-cookie': 'orange',
  'unsigned-cookie': 'brown',
  'bad-signature': 'red',
  'no-session': 'blue',
  'session-expired': 'blue',
  'origin-denied': 'purple',
  forbidden: 'purple',
  'too-many-sockets': 'cyan',
  'too-many-pending': 'cyan',
  'store-failed': 'red',
  timeout: 'brown',
  closed: 'gray',
  destroyed: 'orange',
  expired: 'blue',
  disconnected: 'cyan',
  unverified: 'brown',
  shutdown: 'red',
}

export class Chart {
  #svg
  #legend
  #total
  #title
  #peak
  figure

  constructor(title) {
    this.#title = title
    this.#svg = svgElement('svg', { viewBox: `0 0 ${seconds} ${height}`, preserveAspectRatio: 'none', role: 'img' })
    this.#legend = element('ul', { className: 'legend' })
    this.#total = element('span', { className: 'total number' })
    this.#peak = element('span', { className: 'peak number' })
    this.figure = element(
      'figure',
      { className: 'chart' },
      element('figcaption', {}, this.#peak, this.#total, ' ', title),
      this.#svg,
      this.#legend,
    )
  }

  /** `bars`: an object of counts for each of the last seconds, the newest last. `total` is what the big number says. */
  draw(bars, total = sumOf(bars.flatMap(Object.values))) {
    const sums = {}
    for (const bar of bars) for (const [name, count] of Object.entries(bar)) sums[name] = (sums[name] ?? 0) + count
    const highest = Math.max(0, ...bars.map((bar) => sumOf(Object.values(bar))))
    const unit = height / Math.max(lowestTop, highest)
    this.#svg.replaceChildren(
      ...bars.flatMap((bar, at) => {
        let y = height
        return Object.entries(bar).map(([name, count]) => {
          const length = Math.max(shortest, count * unit)
          y -= length
          const x = seconds - bars.length + at
          return svgElement('rect', { x, y, width: 0.8, height: length, class: classOf(name) })
        })
      }),
    )
    setText(this.#total, String(total))
    setText(this.#peak, highest > 0 ? `peak ${highest}/s` : '')
    const parts = Object.entries(sums).sort(([, one], [, other]) => other - one)
    const inWords = parts.map(([name, count]) => `${count} ${name}`).join(', ') || 'nothing'
    this.#svg.setAttribute('aria-label', `${this.#title} in the last minute: ${inWords}; at most ${highest} a second.`)
    keep(this.#legend, parts, {
      key: ([name]) => name,
      make: ([name]) => element('li', { className: classOf(name) }),
      fill: (item, [name, count]) => setText(item, `${name} ${count}`),
    })
  }
}

function classOf(name) {
  return `color-${colors[name] ?? 'gray'}`
}

function svgElement(name, attributes) {
  const made = document.createElementNS(svgNames, name)
  for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, value)
  return made
}

function sumOf(numbers) {
  return numbers.reduce((sum, number) => sum + number, 0)
}
