// A WebSocket that reconnects, unless the close code says that it makes no sense.
import { call } from './http.js'
import { endingOf } from './close-codes.js'

const shortestMs = 500
const longestMs = 30_000

/** Doubles with each attempt. Half of it is left to chance, or a thousand tabs would come back all at once. */
export function pauseMs(attempt) {
  return Math.min(longestMs, shortestMs * 2 ** attempt) * (0.5 + Math.random() / 2)
}

/** `onStep` gets `connecting`, `open`, `waiting` with `ms` and `attempt`, `ended` with an ending, and `logged-out`. */
export class LiveSocket {
  #path
  #onMessage
  #onStep
  #socket
  #timer
  #attempt = 0

  constructor(path, { onMessage, onStep }) {
    this.#path = path
    this.#onMessage = onMessage
    this.#onStep = onStep
  }

  open() {
    clearTimeout(this.#timer)
    this.#drop()
    this.#onStep({ step: 'connecting' })
    // No token, no name: the browser sends the session cookie with the upgrade by itself.
    const socket = new WebSocket(`${location.origin.replace(/^http/, 'ws')}${this.#path}`)
    this.#socket = socket
    socket.addEventListener('open', () => this.#onStep({ step: 'open' }))
    socket.addEventListener('message', ({ data }) => {
      // Only now: a socket that opens and closes at once is no success.
      this.#attempt = 0
      if (socket === this.#socket) this.#onMessage(JSON.parse(data))
    })
    socket.addEventListener('close', (event) => {
      if (socket !== this.#socket) return
      this.#socket = undefined
      const ending = endingOf(event)
      this.#onStep({ step: 'ended', ending })
      if (ending.back) this.#wait()
    })
  }

  /** Also while it closes: then an ending is on its way. */
  get isThere() {
    return this.#socket !== undefined
  }

  send(text) {
    this.#socket?.send(text)
  }

  /** Does not come back. */
  close() {
    clearTimeout(this.#timer)
    this.#drop()
  }

  #drop() {
    const socket = this.#socket
    this.#socket = undefined
    socket?.close()
  }

  #wait() {
    const ms = pauseMs(this.#attempt)
    this.#attempt += 1
    this.#onStep({ step: 'waiting', ms, attempt: this.#attempt })
    this.#timer = setTimeout(() => this.#comeBack(), ms)
  }

  /* Asked before every new socket: a script cannot read why a WebSocket was refused, so it asks over HTTP who it is. */
  async #comeBack() {
    try {
      const { user } = await call('GET', '/me')
      if (user === null) this.#onStep({ step: 'logged-out' })
      else this.open()
    } catch {
      this.#wait()
    }
  }
}
