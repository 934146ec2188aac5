/*
 * pm2 in cluster mode: its daemon is the primary, and takes requests at a socket of its own.
 */
import cluster from 'node:cluster'
import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { homedir } from 'node:os'
import { join } from 'node:path'

/** Frames of AMP, version 1: a byte with the version and the number of parts, then each part behind its length. */
const version = 1
const lengthBytes = 4
/** A part begins with its kind: `j:` for JSON, `s:` for a string. */
const kindLength = 2
/** An answer is a few numbers. */
const maxPartBytes = 1_000_000

/** Where pm2's daemon takes requests; undefined unless it is the primary of this process. */
export function pm2Address(env = process.env): string | undefined {
  // A worker of another primary may have inherited all of these names.
  if (!cluster.isWorker || env.exec_mode !== 'cluster_mode' || env.pm_id === undefined) return undefined
  const home = env.PM2_HOME ?? join(homedir(), '.pm2')
  if (pidIn(env.PM2_PID_FILE_PATH ?? join(home, 'pm2.pid')) !== process.ppid) return undefined
  if (process.platform === 'win32') return String.raw`\\.\pipe\rpc.sock`
  return env.PM2_DAEMON_RPC_PORT ?? join(home, 'rpc.sock')
}

function pidIn(file: string): number | undefined {
  try {
    return Number(readFileSync(file, 'utf8'))
  } catch {
    return undefined
  }
}

interface PendingCall {
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

/** A connection to the daemon. It keeps no process alive. */
export class Pm2Daemon {
  readonly #socket: Socket
  readonly #opened: Promise<void>
  readonly #pending = new Map<string, PendingCall>()
  #count = 0
  #received = Buffer.alloc(0)

  /** @param onLost called once it is closed, whoever has closed it */
  constructor(address: string, onLost: () => void) {
    this.#socket = connect(address).unref()
    let lastError: Error | undefined
    this.#opened = new Promise((resolve, reject) => {
      this.#socket.on('connect', resolve)
      this.#socket.on('error', (error) => {
        lastError = error
      })
      this.#socket.on('close', () => {
        const error = lastError ?? new Error('The connection to pm2 is closed.')
        reject(error)
        for (const call of this.#pending.values()) call.reject(error)
        this.#pending.clear()
        onLost()
      })
    })
    this.#opened.catch(noop)
    this.#socket.on('data', (chunk) => {
      this.#received = Buffer.concat([this.#received, chunk])
      this.#takeAnswers()
    })
  }

  /**
   * Calls one of the daemon's methods.
   *
   * @throws (rejects) for what the daemon refuses, and when the connection is lost.
   */
  async call(method: string, argument: object): Promise<void> {
    await this.#opened
    if (this.#socket.destroyed) throw new Error('The connection to pm2 is closed.')
    this.#count += 1
    const id = String(this.#count)
    const request = JSON.stringify({ type: 'call', method, args: [argument] })
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject })
      this.#socket.write(frameOf([`j:${request}`, `s:${id}`]))
    })
  }

  destroy(): void {
    this.#socket.destroy()
  }

  #takeAnswers(): void {
    try {
      for (let frame = partsAtStart(this.#received); frame !== undefined; frame = partsAtStart(this.#received)) {
        this.#received = this.#received.subarray(frame.bytes)
        this.#settle(frame.parts)
      }
    } catch (error) {
      this.#socket.destroy(error as Error)
    }
  }

  #settle(parts: readonly string[]): void {
    const [answer = '', id = ''] = parts.map((part) => part.slice(kindLength))
    const { error } = JSON.parse(answer) as { readonly error?: unknown }
    const call = this.#pending.get(id)
    this.#pending.delete(id)
    if (error === undefined) call?.resolve()
    else call?.reject(new Error(`pm2 refuses: ${JSON.stringify(error)}`))
  }
}

function frameOf(parts: readonly string[]): Buffer {
  const bytes = [Buffer.of((version << 4) | parts.length)]
  for (const part of parts) {
    const text = Buffer.from(part)
    const length = Buffer.alloc(lengthBytes)
    length.writeUInt32BE(text.length)
    bytes.push(length, text)
  }
  return Buffer.concat(bytes)
}

/** The frame that the bytes begin with; undefined if they do not hold all of it. */
function partsAtStart(received: Buffer): { parts: string[]; bytes: number } | undefined {
  const [first] = received
  if (first === undefined) return undefined
  const parts: string[] = []
  const count = first & 0xf
  let at = 1
  while (parts.length < count) {
    if (received.length < at + lengthBytes) return undefined
    const end = at + lengthBytes + received.readUInt32BE(at)
    if (end - at > maxPartBytes) throw new Error('pm2 answered with more than an answer can be.')
    if (received.length < end) return undefined
    parts.push(received.toString('utf8', at + lengthBytes, end))
    at = end
  }
  return { parts, bytes: at }
}

function noop(): void {
  // Whoever calls is told.
}
