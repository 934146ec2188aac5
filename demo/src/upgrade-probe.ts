/*
 * One upgrade over the network with any cookie and any origin, which no page can send.
 */
import { randomBytes, randomUUID } from 'node:crypto'
import { request, type IncomingMessage } from 'node:http'

import type { RefusalReason, SessionBridge } from 'ws-session-bridge'

import { roomPath } from './room.js'

/** What the upgrade carries. */
export interface ProbeOptions {
  readonly cookie?: string | undefined
  /** Default: the demo's own. */
  readonly origin?: string
}

/** What came back. */
export interface ProbeResult {
  /** The HTTP status on the wire; 101 is an open WebSocket, 0 is no answer at all. */
  readonly status: number
  /** What the bridge's `refuse` event said. The client is not told: one 401 looks like any other. */
  readonly reason: RefusalReason | undefined
  readonly tookMs: number
  readonly sent: string
  readonly received: string
  /** Closes the socket, if there is one. */
  readonly close: () => void
}

const longestWaitMs = 10_000

/** Sends upgrades to this node itself. */
export class UpgradeProbe {
  readonly #port: () => number
  readonly #reasons = new Map<string, RefusalReason | undefined>()

  constructor(bridge: SessionBridge, port: () => number) {
    this.#port = port
    bridge.on('refuse', ({ reason }, { url = '' }) => {
      if (this.#reasons.has(url)) this.#reasons.set(url, reason)
    })
  }

  async send({ cookie, origin }: ProbeOptions): Promise<ProbeResult> {
    const host = `127.0.0.1:${this.#port()}`
    // The query tells this attempt's refusal from those of other people.
    const path = `${roomPath}?attempt=${randomUUID()}`
    const headers = {
      Host: host,
      Origin: origin ?? `http://${host}`,
      Connection: 'Upgrade',
      Upgrade: 'websocket',
      'Sec-WebSocket-Version': '13',
      'Sec-WebSocket-Key': randomBytes(16).toString('base64'),
      ...(cookie && { Cookie: cookie }),
    }
    this.#reasons.set(path, undefined)
    const startedAt = performance.now()
    const { status, received, close } = await answerTo(host, path, headers)
    const reason = this.#reasons.get(path)
    this.#reasons.delete(path)
    const sent = [`GET ${path} HTTP/1.1`, ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`)]
    const tookMs = Math.round(performance.now() - startedAt)
    return { status, reason, tookMs, sent: sent.map(masked).join('\n'), received, close }
  }
}

function answerTo(host: string, path: string, headers: Record<string, string>) {
  return new Promise<Pick<ProbeResult, 'status' | 'received' | 'close'>>((resolve) => {
    const upgrade = request(`http://${host}${path}`, { headers, agent: false, timeout: longestWaitMs })
    upgrade.on('upgrade', (response, socket) => {
      // Frames that come are of no interest, and neither is how the socket ends.
      socket.on('error', () => undefined).resume()
      resolve({ status: 101, received: headOf(response), close: () => socket.destroy() })
    })
    upgrade.on('response', (response) => {
      let body = ''
      response.setEncoding('utf8').on('data', (chunk: string) => (body += chunk))
      response.on('close', () => {
        resolve({
          status: response.statusCode ?? 0,
          received: `${headOf(response)}\n\n${body}`,
          close: () => undefined,
        })
      })
    })
    upgrade.on('timeout', () => upgrade.destroy(new Error('No answer.')))
    upgrade.on('error', ({ message }) => resolve({ status: 0, received: message, close: () => undefined }))
    upgrade.end()
  })
}

function headOf({ httpVersion, statusCode, statusMessage, rawHeaders }: IncomingMessage): string {
  const lines = [`HTTP/${httpVersion} ${statusCode} ${statusMessage}`]
  for (let at = 0; at < rawHeaders.length; at += 2) lines.push(`${rawHeaders[at]}: ${rawHeaders[at + 1]}`)
  return lines.map(masked).join('\n')
}

/* What goes to the page is read there by scripts, and a session ID must not be: that is what httpOnly is for. The end of a
   signature tells two of them apart, and nothing of the ID. */
function masked(line: string): string {
  return line.replace(/^((?:Set-)?Cookie: [^=]+=)([^;]*)/i, (_all, name: string, value: string) => {
    return value.startsWith('s%3A') ? `${name}s%3A…${value.slice(-4)}` : `${name}…`
  })
}
