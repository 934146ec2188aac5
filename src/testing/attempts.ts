/*
 * The upgrades of a test bridge, each with both of its sides.
 */
import type { IncomingHttpHeaders } from 'node:http'
import type { Duplex } from 'node:stream'

import type { WebSocket } from 'ws'

import type { SessionBridge } from '../bridge-contract.js'
import type { SessionContext } from '../live/session-context.js'
import type { Refusal } from '../refusals.js'
import type { Activity } from './activity.js'
import type { Client, ClientAnswer } from './client.js'
import type { TestUpgrade } from './upgrade.js'

/** All upgrades that are under way or open. */
export class Attempts {
  readonly #bySocket = new Map<Duplex, Attempt>()

  /** @param activity counts the sockets that the bridge has ended, until they are closed */
  constructor(bridge: SessionBridge<never>, activity: Activity) {
    bridge.on('accept', (context, ws) => {
      if (ws !== undefined) this.#bySocket.get(rawSocketOf(ws))?.accepted(context)
    })
    bridge.on('refuse', (refusal, { socket }) => {
      this.#bySocket.get(socket)?.refused(refusal)
    })
    bridge.on('end', ({ ws }) => {
      const attempt = ws && this.#bySocket.get(rawSocketOf(ws))
      if (attempt !== undefined) void attempt.bothClosed().then(activity.begin())
    })
  }

  begin(client: Client): Attempt {
    const { serverSide } = client
    const attempt = new Attempt(client)
    this.#bySocket.set(serverSide, attempt)
    void attempt.bothClosed().then(() => this.#bySocket.delete(serverSide))
    return attempt
  }

  /** Cuts what is still open. */
  cut(): void {
    for (const attempt of this.#bySocket.values()) attempt.cut()
  }
}

/** Both sides of one upgrade, as they become known. */
class Attempt implements TestUpgrade<SessionContext | undefined> {
  readonly #client: Client
  #answer: ClientAnswer | undefined
  #refusal: Refusal | undefined
  #accepted: { readonly context: SessionContext | undefined } | undefined

  constructor(client: Client) {
    this.#client = client
  }

  accepted(context: SessionContext | undefined): void {
    this.#accepted = { context }
  }

  refused(refusal: Refusal): void {
    this.#refusal = refusal
  }

  cut(): void {
    this.#client.ws.terminate()
    this.#client.serverSide.destroy()
  }

  async answered(): Promise<this> {
    this.#answer = await this.#client.answer
    return this
  }

  /** A client that a test has paused hears nothing, and is not waited for. */
  async bothClosed(): Promise<void> {
    const { serverSide, ws, inbox } = this.#client
    if (!serverSide.closed) await new Promise((resolve) => serverSide.once('close', resolve))
    if (!ws.isPaused) await inbox.closed
  }

  get refusal(): Refusal | undefined {
    return this.#refusal
  }

  get status(): number {
    return this.#answer?.status ?? 0
  }

  get headers(): IncomingHttpHeaders {
    return this.#answer?.headers ?? {}
  }

  get body(): string {
    return this.#answer?.body ?? ''
  }

  get ws(): WebSocket {
    if (this.status !== 101) throw this.#notLetIn()
    return this.#client.ws
  }

  get context(): SessionContext | undefined {
    if (this.#accepted === undefined) throw this.#notLetIn()
    return this.#accepted.context
  }

  get closed(): Promise<{ code: number; reason: string }> {
    return this.#client.inbox.closed
  }

  readonly next = (): Promise<string> =>
    this.status === 101 ? this.#client.inbox.next() : Promise.reject(this.#notLetIn())

  #notLetIn(): Error {
    const why = this.#refusal?.reason ?? 'not by the bridge'
    return new Error(
      `The upgrade was refused: ${why} (${this.status}). Look at \`refusal\` if that is what you expect.`,
    )
  }
}

/* ws has no public name for it; the field goes when the socket has closed. */
function rawSocketOf(ws: WebSocket): Duplex {
  return (ws as WebSocket & { _socket: Duplex })._socket
}
