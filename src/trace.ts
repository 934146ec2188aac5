/*
 * `NODE_DEBUG=ws-session-bridge`: a line on stderr for each stage that a request or a session passes.
 */
import type { IncomingMessage } from 'node:http'
import { debuglog } from 'node:util'

import { hashOf } from './session-hash.js'

/** Writes the lines. Requests are numbered as they come, and each line tells the ms since the request's first one. */
export class Trace {
  readonly #write: (line: string) => void
  readonly #requests = new WeakMap<IncomingMessage, { readonly number: number; readonly since: number }>()
  #count = 0

  constructor(write: (line: string) => void) {
    this.#write = write
  }

  /** A request passed a stage, or did not. The session ID, where it is known by then, is hashed here. */
  request(request: IncomingMessage, stage: string, outcome: string, sessionID?: string): void {
    // authenticate() may be given what is no request.
    if (!isObject(request)) return this.#write(`${stage}: ${outcome}`)
    const { number, since } = this.#known(request)
    const session = sessionID === undefined ? '' : `, session ${hashOf(sessionID)}`
    this.#write(`#${String(number)} +${(performance.now() - since).toFixed(1)}ms ${stage}: ${outcome}${session}`)
  }

  /** Something happened to a session that is connected, or to one that was named. */
  session(sessionID: string, what: string): void {
    this.#write(`session ${hashOf(sessionID)} ${what}`)
  }

  /** Something went wrong. What the error says stays out: it is not ours, and may hold a session ID. */
  fault(kind: string, error: Error): void {
    this.#write(`fault: ${kind}, ${error.name}`)
  }

  #known(request: IncomingMessage): { readonly number: number; readonly since: number } {
    const known = this.#requests.get(request)
    if (known !== undefined) return known
    this.#count += 1
    const entry = { number: this.#count, since: performance.now() }
    this.#requests.set(request, entry)
    this.#write(`#${String(entry.number)} ${described(request)}`)
    return entry
  }
}

/* The quotes keep a line a line. */
function described(request: IncomingMessage): string {
  const { method, url, headers, socket } = request as Partial<IncomingMessage>
  const path = JSON.stringify(url?.split('?', 1)[0])
  return `${String(method)} ${path} with Origin ${JSON.stringify(headers?.origin)} from ${String(socket?.remoteAddress)}`
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null
}

const log = debuglog('ws-session-bridge')

/** Undefined unless NODE_DEBUG asks for it. Node reads it once, at its start, and so does this: `trace?.…` costs nothing then. */
export const trace: Trace | undefined = log.enabled
  ? new Trace((line) => {
      log('%s', line)
    })
  : undefined
