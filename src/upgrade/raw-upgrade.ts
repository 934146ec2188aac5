/*
 * One upgrade as Node's 'upgrade' event brings it.
 */
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'

export interface Upgrade {
  readonly request: IncomingMessage
  /** The raw socket, which nobody but the bridge answers now. */
  readonly socket: Duplex
  /** What came after the request's headers, before its answer. */
  readonly head: Buffer
}
