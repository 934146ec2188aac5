/*
 * Listening to one channel on a connection that is used for commands as well.
 */
import type { CallTimeouts } from '../internal/call-timeouts.js'
import { isErrorReply, type RedisClient } from './dedicated-client.js'

/** What is listened to, wherever the connection leads just now. */
export interface Subscription {
  readonly name: string
  readonly onMessage: (message: string) => void
  /** Messages may have been missed: told each time that listening begins. */
  readonly onGap: () => void
  /** Redis forbids to listen. */
  readonly onRefused: (error: Error) => void
}

/**
 * With RESP 3 a connection that listens takes commands, too. One that cannot listen is destroyed, so that the next one is tried;
 * but if Redis forbids it, reading goes on. Never rejects.
 */
export async function listen(client: RedisClient, subscription: Subscription, deadlines: CallTimeouts): Promise<void> {
  const { name, onMessage, onGap, onRefused } = subscription
  /** What comes in one piece with Redis' answer: after the gap, as everything that is heard since. */
  let early: string[] | undefined = []
  const onAnyMessage = (message: string): void => {
    if (early === undefined) onMessage(message)
    else early.push(message)
  }
  try {
    await deadlines.within(() => client.subscribe(name, onAnyMessage))
    onGap()
    for (const message of early) onMessage(message)
    early = undefined
  } catch (error) {
    const { cause } = error as Error
    if (isErrorReply(cause) && cause.message.startsWith('NOPERM')) onRefused(cause)
    else client.destroy()
  }
}
