// a client that talks, notices when it is cut off, and comes back after a pause of its own.
import { WebSocket } from 'ws'
import { CloseCode } from 'ws-session-bridge'
import type { Random } from '../support/random.js'

const firstPauseMs = 500
const longestPauseMs = 5_000

export interface ClientOptions {
  readonly url: string
  readonly cookie: string
  readonly origin: string
  readonly ca: string
  readonly random: Random
}

interface Told {
  readonly node: string
  readonly user?: string
}

/** One tab of one user. The same rules as in the recipe for a page, and a record of what happened. */
export class ComingBack {
  /** The node that it is connected to; undefined while it is to none. */
  node: string | undefined
  user: string | undefined
  answers = 0
  /** Why it no longer comes back: a close code or an HTTP status. */
  final: number | undefined
  /** The close codes that it came back from, and the statuses of refusals that it does not take for final. */
  readonly lost: number[] = []
  readonly refusals: number[] = []
  /** How many attempts each return took, and how much longer than its pauses it took to get in, in ms. */
  readonly returns: { attempts: number; overMs: number }[] = []
  readonly #options: ClientOptions
  #ws: WebSocket | undefined
  #attempts = 0
  #pausedMs = 0
  #lostAt: number | undefined
  #isOver = false
  #isReloaded = false

  constructor(options: ClientOptions) {
    this.#options = options
    this.#connect()
  }

  say(text: string): void {
    if (this.node !== undefined) this.#ws?.send(text)
  }

  /** As a page that is loaded again. */
  reconnect(): void {
    this.#isReloaded = true
    this.node = undefined
    this.#ws?.close()
  }

  close(): void {
    this.#isOver = true
    this.#ws?.terminate()
  }

  #connect(): void {
    if (this.#isOver) return
    const { url, cookie, origin, ca } = this.#options
    const ws = new WebSocket(url, { headers: { cookie, origin }, ca })
    this.#ws = ws
    ws.on('message', (data: Buffer) => this.#told(JSON.parse(data.toString()) as Told))
    ws.on('unexpected-response', (_request, { statusCode = 0 }) => {
      if (statusCode === 401) this.final = statusCode
      else this.refusals.push(statusCode)
      ws.terminate()
    })
    ws.on('error', () => undefined)
    ws.on('close', (code) => this.#closed(code))
  }

  #told({ node, user }: Told): void {
    if (this.#isReloaded) return
    if (this.#lostAt !== undefined) {
      const overMs = performance.now() - this.#lostAt - this.#pausedMs
      this.returns.push({ attempts: this.#attempts, overMs })
    }
    this.#lostAt = undefined
    this.#attempts = this.#pausedMs = 0
    this.node = node
    if (user === undefined) return
    this.user = user
    this.answers += 1
  }

  #closed(code: number): void {
    if (this.node !== undefined && code !== CloseCode.destroyed) this.lost.push(code)
    this.node = undefined
    if (this.#isReloaded && this.final === undefined && code !== CloseCode.destroyed) {
      this.#isReloaded = false
      return this.#connect()
    }
    if (this.#isOver || this.final !== undefined) return
    if (code === CloseCode.destroyed) {
      this.final = code
      return
    }
    this.#lostAt ??= performance.now()
    const pauseMs = this.#options.random.share() * Math.min(longestPauseMs, firstPauseMs * 2 ** this.#attempts)
    this.#attempts += 1
    this.#pausedMs += pauseMs
    setTimeout(() => this.#connect(), pauseMs)
  }
}
