/*
 * Whole handshakes over TCP: from the connection to the open socket, and until the server has closed it again.
 */
import type { Socket } from 'node:net'

import type { Process } from './process.js'
import { atOnce } from './rounds.js'
import type { ServerCalls } from './server.js'
import { open } from './socket.js'

/** A server to connect to, whose store has so many sessions. */
export interface Target {
  readonly server: Process<ServerCalls>
  readonly port: number
  readonly sessions: number
  readonly socketIO?: boolean
}

/** Resolves to the server's CPU for one, in µs: opening and closing counted. */
export async function handshakes({ server, port, sessions, socketIO }: Target, count: number): Promise<number> {
  await server.call('collectYoung', undefined)
  const before = await server.call('cpu', undefined)
  const sockets: Socket[] = []
  await awake(() =>
    atOnce(32, count, async (index) => sockets.push(await open({ port, index: index % sessions, socketIO }))),
  )
  for (const socket of sockets) socket.destroy()
  await server.call('allClosed', undefined)
  return ((await server.call('cpu', undefined)) - before) / count
}

/*
 * On one machine, writing to a process that sleeps costs the writer the waking of it, which no server pays for clients on a network. A
 * fast server finds its clients awake; a slower one would pay for being slower once more.
 */
async function awake(work: () => Promise<void>): Promise<void> {
  let isDone = false
  const stay = (): void => {
    if (!isDone) setImmediate(stay)
  }
  stay()
  await work()
  isDone = true
}
