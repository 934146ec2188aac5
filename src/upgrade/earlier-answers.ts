/*
 * How far a connection was written when the http server had answered its last request: what is written after that is an answer to
 * the upgrade that follows. By a channel of Node's own, since a connection does not tell who has written to it.
 */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { Duplex } from 'node:stream'

import { createPrivateSlot } from '../internal/private-slot.js'
import { bytesWrittenTo } from './claimed-upgrade.js'

const channel = 'http.server.response.finish'

const bytesOfAnswers = createPrivateSlot<Duplex, number>()

/** From now on, earlier answers are known. As many calls of {@link forgetAnswers} end it. */
export function noteAnswers(): void {
  subscribe(channel, note)
}

/** Ends what one call of {@link noteAnswers} began. */
export function forgetAnswers(): void {
  unsubscribe(channel, note)
}

/** Whether nothing has been written but answers to earlier requests. False also where these are not known. */
export function hasOnlyEarlierAnswers(socket: Duplex): boolean {
  const bytes = bytesWrittenTo(socket)
  if (bytes === 0) return true
  // A listener of the upgrade that reads from the socket has taken it.
  return socket.readableFlowing === null && bytes === bytesOfAnswers.get(socket)
}

/* Node stops reading just before 'upgrade'. An answer that ends later may have that of an upgrade listener behind it. */
function note(message: unknown): void {
  const { socket } = message as { socket: Duplex }
  if (socket.readableFlowing !== null) bytesOfAnswers.set(socket, bytesWrittenTo(socket))
}
