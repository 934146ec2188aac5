// what it has heard, and who listens to it.
import type { EventEmitter } from 'node:events'
import type { Socket } from 'node:net'
import { vi } from 'vitest'

/** Resolves when the server has the client's FIN, be it read or behind unread bytes, where no event tells. */
export async function hasFin(socket: Socket & { _readableState?: { ended: boolean } }): Promise<void> {
  await vi.waitUntil(() => socket.destroyed || socket._readableState?.ended === true, { interval: 2, timeout: 5_000 })
}

/** Resolves with the socket's 'close'. `once()` from node:events would listen for 'error' too, and so do the work of the bridge. */
export function closing(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    socket.once('close', () => {
      resolve()
    })
  })
}

/** How many listeners each event has. */
export function listenersOf(emitter: EventEmitter): Record<string, number> {
  const names = emitter.eventNames().map(String).sort()
  return Object.fromEntries(names.map((name) => [name, emitter.listenerCount(name)]))
}

/** An unfragmented text frame as a client sends it, masked with zeros. */
export function textFrame(text: string): string {
  return String.fromCharCode(0x81, 0x80 | text.length) + '\0\0\0\0' + text
}

/** A close frame as a client sends it, with the code 1000. */
export const closeFrame = '\x88\x82\0\0\0\0\x03\xe8'
