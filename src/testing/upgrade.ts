/*
 * An upgrade as a test asks for it, and as it sees it.
 */
import type { IncomingHttpHeaders } from 'node:http'

import type { WebSocket } from 'ws'

import { assertOptions } from '../internal/option-checks.js'
import type { SessionContext } from '../live/session-context.js'
import type { Refusal } from '../refusals.js'
import type { ClientRequest } from './client.js'

/** What a client sends along with its cookie. */
export interface TestUpgradeOptions {
  /** A path, or a URL whose host becomes the header `Host`; with wss: the socket counts as encrypted. Default `'/'`. */
  url?: string | undefined
  /** The header `Origin`. Default: none, as from a client that is no browser. */
  origin?: string | undefined
  /** The subprotocols to ask for. Default: none. */
  protocols?: string | readonly string[] | undefined
  /** More headers. Default: none. */
  headers?: Readonly<Record<string, string | readonly string[]>> | undefined
  /** What the server sees as the client's address. Default `'127.0.0.1'`. */
  remoteAddress?: string | undefined
}

/** What became of an upgrade. A refusal is a value here, too: look at `refusal`, or take `ws` and have it thrown. */
export interface TestUpgrade<C = SessionContext> {
  /** Why the bridge did not let it in, as its event `refuse` says; undefined if it did. */
  readonly refusal: Refusal | undefined
  /** The HTTP status: 101, or the refusal's. With `refuseWith: 'close'` that is 101, too. */
  readonly status: number
  /** Of the answer; a renewed cookie is in `headers['set-cookie']`. */
  readonly headers: IncomingHttpHeaders
  /** Of a refusal's answer. */
  readonly body: string
  /**
   * The client's socket, open. The server's is `context.ws`.
   *
   * @throws {Error} (on reading) that names the refusal, if there was no 101.
   */
  readonly ws: WebSocket
  /**
   * The server's context, the very one that your connection listener got; undefined for an anonymous request.
   *
   * @throws {Error} (on reading) that names the refusal, if the bridge did not let it in.
   */
  readonly context: C
  /** The next message, as text, that was not read yet; those too that came along with the 101. Rejects at the end. */
  next(): Promise<string>
  /** Resolves when the client's socket has closed. */
  readonly closed: Promise<{ code: number; reason: string }>
}

/** @throws {TypeError} for what no client could send. */
export function clientRequest(cookie: string | undefined, options: TestUpgradeOptions): ClientRequest {
  if (cookie !== undefined && typeof cookie !== 'string') {
    throw new TypeError('upgrade: pass the Cookie header as a string, or undefined for none; `cookie(data)` makes one.')
  }
  assertOptions(options, ['url', 'origin', 'protocols', 'headers', 'remoteAddress'], 'upgrade', "{ url: '/chat' }")
  const { url = '/', origin, protocols = [], headers = {}, remoteAddress = '127.0.0.1' } = options
  const base = 'ws://localhost'
  if (typeof url !== 'string' || !URL.canParse(url, base)) {
    throw new TypeError("upgrade: `url` must be a path such as '/chat', or a whole URL.")
  }
  return {
    url: new URL(url, base),
    protocols: typeof protocols === 'string' ? [protocols] : protocols,
    headers: {
      ...(headers as Record<string, string | string[]>),
      ...(cookie !== undefined && { cookie }),
      ...(origin !== undefined && { origin }),
    },
    remoteAddress,
  }
}
