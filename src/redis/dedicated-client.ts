/*
 * Connections of the bridge's own, to where the session store's client is connected.
 */
import type { RedisClientType } from 'redis'

import type { CallTimeouts } from '../internal/call-timeouts.js'

export type RedisClient = RedisClientType
type Overrides = Parameters<RedisClient['duplicate']>[0]

/** How long anything may take. */
export interface CallLimits {
  readonly deadlines: CallTimeouts
  readonly timeoutMs: number
}

/** A client that can be duplicated, and how long its duplicates may take for anything. Their keys are given in full. */
export interface ConnectionOptions extends CallLimits {
  readonly client: RedisClient
  /** Where its duplicates connect to; undefined: as the client does. */
  readonly target?: { readonly host: string; readonly port: number } | undefined
}

/**
 * A duplicate of a client, yet to be connected. Its settings are the client's own (server, TLS, credentials, database), but
 * for the key prefix and for what would make a command wait: every call here has a deadline.
 *
 * @param settings for this one in particular
 * @param onLost called when it is no longer open, at least once
 */
export function duplicateOf(
  { client, timeoutMs, target }: ConnectionOptions,
  settings: object,
  onLost: () => void,
): RedisClient {
  const overrides = {
    keyPrefix: undefined,
    emitInvalidate: false,
    clientSideCache: undefined,
    maintNotifications: 'disabled',
    disableOfflineQueue: true,
    pingInterval: undefined,
    // Strings, whatever the client maps them to, and no AbortSignal for each command: the deadlines here cover more.
    commandOptions: { timeout: undefined, typeMapping: {} },
    // `socketTimeout` would end an idle connection.
    socket: {
      ...client.options.socket,
      ...target,
      reconnectStrategy: false,
      connectTimeout: timeoutMs,
      socketTimeout: undefined,
    },
    ...settings,
  }
  const own = client.duplicate(overrides as unknown as Overrides) as unknown as RedisClient
  makeDestroyHarmless(own)
  // The calls under way fail with the same error. After an error of the network there is no 'end'.
  own.on('error', () => {
    own.destroy()
    onLost()
  })
  own.on('end', onLost)
  return own
}

/* Before redis 6.3, destroy() throws for a client that is closed already. Here that is as good as closed now. */
function makeDestroyHarmless(own: RedisClient): void {
  const destroy = own.destroy.bind(own)
  own.destroy = () => {
    try {
      destroy()
    } catch (error) {
      if (own.isOpen) throw error
    }
  }
}

/** @throws {StoreUnavailableError} (rejects) if it cannot be connected in time; nothing is left of it then. */
export async function connect(own: RedisClient, deadlines: CallTimeouts): Promise<void> {
  const connecting = own.connect()
  try {
    await deadlines.within(() => connecting)
  } catch (error) {
    const destroy = (): void => {
      own.destroy()
    }
    destroy()
    // node-redis carries on with a TCP connection that opens after destroy().
    connecting.then(destroy, destroy)
    throw error
  }
}

/**
 * Whether an error is Redis' own answer, which begins with a word in capitals, and not the network's.
 *
 * By its text: the classes are those of whichever copy of the client the user has.
 */
export function isErrorReply(error: unknown): error is Error {
  return error instanceof Error && /^(?!ERR max number of clients)[A-Z]{2,} /.test(error.message)
}
