/*
 * The word of a process that has no bridge.
 */
import type { SessionOptions, Store } from 'express-session'

import { assertOptions } from '../internal/option-checks.js'
import { secretsOf } from '../internal/secrets.js'
import { Announcer } from './announcer.js'
import { assertChannel, type Channel } from './channel.js'
import { ChannelKeys } from './channel-keys.js'
import { MessageBus } from './message-bus.js'

/** The options of {@link announceChanges}. */
export interface AnnounceChangesOptions {
  /** The `secret` of the session options: the first one signs what is told. */
  secret: NonNullable<SessionOptions['secret']>
  /** The channel that the bridges of the app are on. It is only told on, so that several stores may share one; closing it is yours. */
  channel: Channel
}

/**
 * Tells the bridges of other processes what this process does to the session store, for processes without a bridge: an HTTP server, a
 * job. Call it once for a store; where there is a bridge with a `channel`, it is not needed.
 *
 * `set`, `destroy` and `clear` are told when the store has answered. What cannot be told is a process warning, at most once a minute, and
 * tried again. A process that has told everything may exit.
 *
 * @example
 * ```ts
 * announceChanges(store, { secret, channel: redisChannel(client) })
 * await store.destroy(sessionID)
 * ```
 * @returns the undo.
 * @throws {TypeError} for a store, a secret or a channel that is none, and for an unknown option.
 */
export function announceChanges(store: Store, options: AnnounceChangesOptions): () => void {
  const given: unknown = store
  if (typeof given !== 'object' || given === null || !('destroy' in given)) {
    throw new TypeError('announceChanges: the store must be an express-session Store.')
  }
  assertOptions(options, ['secret', 'channel'], 'announceChanges', '{ secret, channel }')
  assertChannel(options.channel, 'announceChanges: `channel`')
  const keys = new ChannelKeys(secretsOf(options.secret, 'announceChanges: `secret`'))
  const bus = new MessageBus({ channel: options.channel, keys, onFault: warn })
  const announcer = new Announcer(store, bus)
  return () => {
    void announcer.close()
  }
}

/* What the error says stays out: it is not ours, and may hold anything. */
function warn(error: Error): void {
  process.emitWarning(
    `Changes of sessions could not be announced (${error.name}): the other processes find them by themselves.`,
    {
      type: 'SessionBridgeWarning',
      code: 'WS_SESSION_BRIDGE_CHANNEL',
    },
  )
}
