/*
 * Many clients in a process of their own: they hold sockets open, and come back when they are cut.
 */
import type { Socket } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'

import { answer, startedWith } from './process.js'
import { atOnce } from './rounds.js'
import type { Moment, Range } from './server.js'
import { open, RefusedError, type OpenOptions } from './socket.js'

/** What a process of clients can be asked. */
export interface ClientCalls {
  /** Opens sockets, some at a time, and holds them. */
  open: (sockets: Range & { shared?: boolean }) => Promise<void>
  close: () => Promise<void>
  /** How many are open. */
  count: () => number
  /** From now on, it is noted whose socket the server closes, and when. */
  listen: (what: { count: number }) => void
  /** Resolves when so many have been closed. */
  closed: () => Promise<Moment[]>
  /** Resolves when all that were open have been cut and are in again, all of them having come at once. */
  storm: (how: { retry: boolean }) => Promise<Storm>
}

export interface Storm {
  /** From when the first was cut until the last was in, in ms. */
  readonly lastInMs: number
  readonly attempts: number
  /** Attempts that were answered by something else than a 101. */
  readonly refused: number
}

/** A close frame without a code, from a client; its mask is nought (RFC 6455, sections 5.2 and 5.5.1). */
const closeFrame = Buffer.from([0x88, 0x80, 0, 0, 0, 0])
const closeOpcode = 0x88

const settings = startedWith() as Pick<OpenOptions, 'port' | 'socketIO'>
const held = new Map<Socket, number>()
let onCut: () => void = () => undefined
let onCloseFrame: (index: number) => void = () => undefined
let closed: Promise<Moment[]> = Promise.resolve([])

async function hold(index: number): Promise<void> {
  const socket = await open({ ...settings, index })
  held.set(socket, index)
  socket.on('data', (data: Buffer) => {
    // As a client should: the server waits for it, and cuts those that do not.
    if (data[0] !== closeOpcode) return
    onCloseFrame(index)
    socket.end(closeFrame)
  })
  socket.once('close', () => {
    held.delete(socket)
    onCut()
  })
}

answer({
  open: ({ first, count, shared }: Range & { shared?: boolean }) =>
    atOnce(64, count, (index) => hold(first + (shared ? 0 : index))),
  close: async () => {
    const closed = allCut()
    for (const socket of held.keys()) socket.destroy()
    await closed
  },
  count: () => held.size,
  listen: ({ count }: { count: number }) => {
    const moments: Moment[] = []
    closed = new Promise((resolve) => {
      onCloseFrame = (index) => {
        moments.push([index, performance.timeOrigin + performance.now()])
        if (moments.length === count) resolve(moments)
      }
    })
  },
  closed: () => closed,
  storm: async ({ retry }: { retry: boolean }) => {
    const indexes = [...held.values()]
    const first = new Promise<number>((resolve) => {
      onCut = () => {
        resolve(performance.now())
      }
    })
    const begun = await first
    await allCut()
    let attempts = 0
    let refused = 0
    const comeBack = async (index: number): Promise<void> => {
      for (let wait = 100; ; wait = Math.min(wait * 2, 2_000)) {
        attempts += 1
        try {
          await hold(index)
          return
        } catch (error) {
          if (!(error instanceof RefusedError)) throw error
          refused += 1
          if (!retry) return
          // As every client should: a growing pause, of which a random part.
          await pause(wait * (0.5 + Math.random() / 2))
        }
      }
    }
    await Promise.all(indexes.map(comeBack))
    return { lastInMs: performance.now() - begun, attempts, refused }
  },
} satisfies ClientCalls)

function allCut(): Promise<void> {
  return new Promise((resolve) => {
    onCut = () => {
      if (held.size === 0) resolve()
    }
    onCut()
  })
}
